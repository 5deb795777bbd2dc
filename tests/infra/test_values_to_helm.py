"""From the deployed stacks' outputs to the pods: nothing is lost on the way."""

import json
import subprocess
import sys

import pytest
import yaml
from infra.conftest import ROOT
from infra.moto_cfn.declared import made
from support.rendering import render, workloads


@pytest.fixture(scope="module")
def values(deployed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    (folder / "outputs.json").write_text(json.dumps(deployed.outputs))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "isocenter_infra.values"),
            *("--outputs-file", str(folder / "outputs.json")),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    file = folder / "values.aws.yaml"
    file.write_text(done.stdout)
    return file


@pytest.fixture(scope="module")
def manifests(values):
    return render(values)


@pytest.fixture(scope="module")
def environments(manifests):
    """Environment of the first container, by workload."""
    return {
        name: {
            each["name"]: each.get("value", "")
            for each in template["spec"]["containers"][0].get("env", [])
        }
        for name, template in workloads(manifests).items()
    }


def test_every_text_is_quoted(values):
    for line in values.read_text().splitlines():
        _, _, value = line.partition(": ")
        assert not value or value.startswith('"') or value in {"true", "false"}, line


@pytest.mark.parametrize(
    ("workload", "output"),
    [
        ("isocenter-storescp", "ReceiveBucketName"),
        ("isocenter-storescp", "DatastoreId"),
        ("isocenter-operator", "ImportRoleArn"),
        ("isocenter-intake", "QueueUrl"),
        ("isocenter-intake", "ReceiveBucketName"),
        ("isocenter-tlm-proxy", "UserPoolId"),
        ("isocenter-tlm-proxy", "UserPoolClientId"),
        ("isocenter-fetcher", "ReceiveBucketName"),
    ],
)
def test_outputs_are_in_the_environment(environments, outputs, workload, output):
    values = environments[workload].values()
    assert any(outputs[output] in each for each in values), sorted(environments)


def test_everything_is_in_the_outputs_region(environments, outputs):
    called = {
        name: environment
        for name, environment in environments.items()
        if "AWS_SDK_UA_APP_ID" in environment
    }
    assert len(called) >= 6
    for name, environment in called.items():
        assert environment["AWS_REGION"] == outputs["Region"], name
        assert not [each for each in environment if each.startswith("AWS_ENDPOINT")]
        assert "AWS_ROLE_ARN" not in environment


def test_the_pipeline_is_made_with_the_outputs_roles(manifests, outputs):
    (job,) = (
        manifest
        for (kind, name), manifest in manifests.items()
        if kind == "Job" and "pipeline" in name
    )
    text = yaml.safe_dump(job)
    for each in ("SageMakerRoleArn", "ProcessingRoleArn", "TrainingRoleArn"):
        assert outputs[each] in text, each
    assert outputs["PipelineName"] in text


def test_images_come_from_the_outputs_registry(manifests, outputs):
    images = {
        container["image"]
        for template in workloads(manifests).values()
        for container in template["spec"]["containers"]
    }
    repositories = {v for name, v in outputs.items() if name.endswith("ImageUri")}
    for image in images:
        assert image.rpartition(":")[0] in repositories, image


def test_service_accounts_are_those_that_have_roles(manifests):
    used = {
        template["spec"]["serviceAccountName"]
        for template in workloads(manifests).values()
    }
    associated = {
        each["ServiceAccount"]
        for each in made("AWS::EKS::PodIdentityAssociation").values()
    }
    # The viewer calls nothing of AWS.
    assert used - associated <= {"isocenter-viewer", "default"}
    assert associated <= used
    for (kind, _), manifest in manifests.items():
        if kind == "ServiceAccount":
            assert "eks.amazonaws.com/role-arn" not in manifest["metadata"].get(
                "annotations", {}
            )
