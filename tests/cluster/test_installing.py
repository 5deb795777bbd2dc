"""A release by somebody who has rights in one namespace only, and what it leaves."""

import json
import subprocess

import pytest
import yaml
from demo.certificates import certificate
from demo.install import component_images
from demo.place import LOCAL_AWS_VALUES, ROOT, images

ROLE = ROOT / "docs/examples/install-role.yaml"
INSTALLER = "installer@example.org"
CHART = ROOT / "charts/isocenter"


@pytest.fixture(scope="module")
def place(kubectl, definitions, module_namespace):
    """A namespace with the Role, a certificate, and a rule against bad pods."""
    kubectl("-n", module_namespace, "apply", "-f", str(ROLE))
    made = certificate()
    kubectl(
        *("-n", module_namespace, "create", "secret", "tls", "isocenter-dicom-tls"),
        *(f"--cert={made}", f"--key={made.with_name('tls.key')}"),
    )
    assert len(definitions) == 3
    return module_namespace


@pytest.fixture(scope="module")
def helm(place):
    """Helm as the installer; answers what it printed, warnings included."""

    def run(*arguments, check=True):
        done = subprocess.run(
            ["helm", *arguments, "--namespace", place, "--kube-as-user", INSTALLER],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    return run


def names(kubectl, place, kinds):
    listed = kubectl("-n", place, "get", kinds, "-o", "json").stdout
    return {
        f"{item['kind']}/{item['metadata']['name']}"
        for item in json.loads(listed)["items"]
    }


@pytest.mark.timeout(300)
def test_a_release_comes_changes_and_goes(kubectl, place, helm):
    # Without intake's pods: the queue's messages are the demo's.
    arguments = (
        *("upgrade", "--install", "isocenter", str(CHART), "--wait"),
        *("--timeout", "3m", "--values", str(LOCAL_AWS_VALUES)),
        *component_images(images()),
        *("--set", "crds.enabled=false,intake.replicas=0,pipeline.enabled=false"),
    )
    printed = helm(*arguments)
    assert "warning" not in printed.lower(), "Pod Security admission warns"
    assert "STATUS: deployed" in printed
    helm(*arguments, "--set", "viewer.podLabels.changed=yes")
    kubectl("-n", place, "apply", "-f", str(ROOT / "docs/examples/training-run.yaml"))

    helm("uninstall", "isocenter", "--wait")
    kinds = (
        "deployments,statefulsets,jobs,services,configmaps,secrets,serviceaccounts,"
        "roles,rolebindings,networkpolicies,ingresses,poddisruptionbudgets,pvc,"
        "trainingruns"
    )
    left = {name for name in names(kubectl, place, kinds) if "default" not in name}
    assert left == {
        "ConfigMap/kube-root-ca.crt",
        "Secret/isocenter-dicom-tls",
        "Role/isocenter-installer",
        "RoleBinding/isocenter-installer",
        # What was acknowledged and is not in S3 yet would be here.
        "PersistentVolumeClaim/spool-isocenter-storescp-0",
        f"TrainingRun/{example_run()}",
    }


def example_run():
    return yaml.safe_load((ROOT / "docs/examples/training-run.yaml").read_text())[
        "metadata"
    ]["name"]


def test_the_definitions_are_not_the_installers(helm):
    said = helm(
        *("install", "other", str(CHART), "--values", str(CHART / "ci/minimal.yaml")),
        check=False,
    )
    assert "customresourcedefinitions" in said
    assert "forbidden" in said
