"""The profiles as manifests: their kinds' schemas, helm's own linter, goldens."""

import json
import re
import subprocess

import pytest
import yaml
from support.rendering import CHART, PROFILES, ROOT, template

from isocenter.operator.crd import MODELS, definition

SCHEMAS = ROOT / "tests" / "chart" / "schemas"
GOLDEN = ROOT / "tests" / "chart" / "golden"
# Generated files with tests of their own, too long to be read in a golden.
NOT_IN_GOLDEN = ("CustomResourceDefinition",)
LOCATIONS = (
    "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json",
    "{{.ResourceKind}}-core-{{.ResourceAPIVersion}}.json",
)
# Kinds of the Prometheus operator: test_monitoring.py looks into them.
SKIPPED = "PodMonitor,PrometheusRule"


def closed(schema):
    """A schema that takes no field it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def conforms(tmp_path_factory):
    """Runs kubeconform over manifests, our own resources' schemas included."""
    own = tmp_path_factory.mktemp("schemas")
    for model in MODELS:
        document = definition(model)
        (version,) = document["spec"]["versions"]
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
        }
        kind = document["spec"]["names"]["kind"].lower()
        name = f"{kind}-{document['spec']['group']}-{version['name']}.json"
        (own / name).write_text(json.dumps(schema))

    def run(text):
        locations = [
            f"{folder}/{each}" for folder in (SCHEMAS, own) for each in LOCATIONS
        ]
        command = ["kubeconform", "-strict", "-output", "json", "-skip", SKIPPED]
        for each in locations:
            command += ["-schema-location", each]
        done = subprocess.run(
            [*command, "-summary", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_manifests_are_what_their_kinds_take(conforms, profile):
    found = conforms(template(profile))
    assert found["resources"] == []
    assert found["summary"]["valid"] > len(found["resources"])
    assert found["summary"]["invalid"] == found["summary"]["errors"] == 0
    assert found["summary"]["skipped"] == (2 if profile == "everything" else 0)


@pytest.mark.parametrize(
    "example", sorted((ROOT / "docs" / "examples").glob("*.yaml")), ids=lambda p: p.name
)
def test_examples_are_what_their_kinds_take(conforms, example):
    found = conforms(example.read_text())
    assert found["resources"] == []
    assert found["summary"]["valid"] >= 1


def test_a_wrong_field_would_be_found(conforms):
    text = (
        template("minimal")
        .replace("restartPolicy", "x")
        .replace("allowPrivilegeEscalation", "allowPrivilegeEscalations")
    )
    assert conforms(text)["summary"]["invalid"] >= 1


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_helm_lints_it(profile):
    files, sets = PROFILES[profile]
    command = ["helm", "lint", "--strict", str(CHART)]
    for file in files:
        command += ["--values", str(file)]
    for each in sets:
        command += ["--set", each]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout
    assert "[INFO]" not in done.stdout


def golden_text(profile):
    """What is compared: manifests in order, without what changes with every edit."""
    documents = [
        document
        for document in yaml.safe_load_all(template(profile))
        if document and document["kind"] not in NOT_IN_GOLDEN
    ]
    documents.sort(key=lambda d: (d["kind"], d["metadata"]["name"]))
    for document in documents:
        if "dashboard" in document["metadata"]["name"]:
            document["data"] = dict.fromkeys(document["data"], "<ANY>")
    return yaml.safe_dump_all(documents, sort_keys=True, width=100)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_manifests_are_the_reviewed_ones(profile, request):
    path = GOLDEN / f"{profile}.yaml"
    text = golden_text(profile)
    if request.config.getoption("--update-golden", default=False):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    expected = path.read_text()
    assert text == expected, (
        "review the difference, then: pytest tests/chart/test_conformance.py"
        " --update-golden"
    )


def test_the_icon_is_the_file_beside_it():
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert re.fullmatch(
        r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", described["icon"]
    )


def test_artifact_hub_is_told_of_every_kind():
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = yaml.safe_load(described["annotations"]["artifacthub.io/crds"])
    assert {(each["kind"], each["name"], each["version"]) for each in told} == {
        (d["spec"]["names"]["kind"], d["metadata"]["name"], "v1alpha1")
        for d in map(definition, MODELS)
    }
