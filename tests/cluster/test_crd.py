"""The definitions on a real API server: what it takes, refuses and prints."""

import json
import re
from pathlib import Path

import pytest
import yaml

from isocenter.operator.crd import MODELS

ROOT = Path(__file__).parents[2]
ONE, TWO = "1" * 32, "2" * 32


pytestmark = pytest.mark.usefixtures("definitions")


@pytest.fixture
def apply(kubectl, namespace):
    def run(kind, spec, name="a", check=True):
        body = {
            "apiVersion": "isocenter.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        return kubectl("-n", namespace, "apply", "-f", "-", stdin=body, check=check)

    return run


def run_spec(**changes):
    return {
        "datastoreId": "d" * 32,
        "imageSets": [{"id": ONE, "versionId": "1"}],
        "pipeline": {"name": "train"},
    } | changes


def import_spec(**changes):
    return {
        "datastoreId": "d" * 32,
        "inputS3Uri": "s3://a-bucket/DICOM/",
        "outputS3Uri": "s3://a-bucket/out/",
    } | changes


def trigger_spec(**changes):
    return {
        "datastoreId": "d" * 32,
        "template": {"pipeline": {"name": "train"}},
    } | changes


def test_examples_are_accepted_and_printed(kubectl, namespace):
    for path in sorted((ROOT / "docs/examples").glob("*.yaml")):
        kinds = {body["kind"] for body in yaml.safe_load_all(path.read_text())}
        if kinds <= {model.__name__ for model in MODELS}:
            kubectl("-n", namespace, "apply", "-f", str(path))
    listed = kubectl("-n", namespace, "get", "isocenter").stdout
    assert listed.count("isocenter.dev/") == 3
    for short, header in (
        ("tr", "NAME PHASE PROGRESS PIPELINE AGE"),
        ("tt", "NAME DATASTORE PIPELINE SUSPENDED EVENTS RUNS AGE"),
        ("dij", "NAME PHASE SCANNED IMPORTED FAILED AGE"),
    ):
        first = kubectl("-n", namespace, "get", short).stdout.splitlines()[0]
        assert re.sub(r" +", " ", first).strip() == header


def test_defaults_are_filled_in(apply, kubectl, namespace):
    apply("TrainingRun", run_spec())
    apply("TrainingTrigger", trigger_spec())
    run = json.loads(kubectl("-n", namespace, "get", "tr", "a", "-o", "json").stdout)
    assert run["spec"]["suspend"] is False
    assert run["spec"]["pipeline"]["parameters"] == {}
    trigger = json.loads(
        kubectl("-n", namespace, "get", "tt", "a", "-o", "json").stdout
    )
    assert trigger["spec"]["events"] == ["Created", "Updated", "Copied"]
    assert trigger["spec"]["includeNonPrimary"] is False


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("TrainingRun", run_spec(datastoreId="short"), "spec.datastoreId"),
        ("TrainingRun", run_spec(imageSets=[]), "spec.imageSets"),
        ("TrainingRun", run_spec(imageSets=[{"id": int(ONE)}]), "of type string"),
        ("TrainingRun", run_spec(imageSets=[{"id": ONE}, {"id": ONE}]), "Duplicate"),
        (
            "TrainingRun",
            run_spec(imageSets=[{"id": ONE, "versionId": "one"}]),
            "versionId",
        ),
        ("TrainingRun", run_spec(pipeline={"name": "not a name"}), "pipeline.name"),
        ("TrainingRun", run_spec(pipeline={}), "pipeline.name"),
        (
            "TrainingRun",
            run_spec(pipeline={"name": "p", "parameters": {"A": "x" * 1025}}),
            "Too long",
        ),
        ("TrainingRun", run_spec(priority=1), "unknown field"),
        ("TrainingTrigger", trigger_spec(events=[]), "spec.events"),
        ("TrainingTrigger", trigger_spec(events=["Deleted"]), "Unsupported value"),
        ("TrainingTrigger", trigger_spec(events=["Created"] * 2), "Duplicate"),
        ("TrainingTrigger", {"datastoreId": "d" * 32}, "spec.template"),
        ("DICOMImportJob", import_spec(inputS3Uri="https://x/"), "inputS3Uri"),
        ("DICOMImportJob", import_spec(outputS3Uri="s3://UPPER/"), "outputS3Uri"),
        ("DICOMImportJob", import_spec(dataAccessRoleArn="x"), "dataAccessRoleArn"),
    ],
)
def test_wrong_specs_are_refused_by_name(apply, kind, spec, words):
    done = apply(kind, spec, check=False)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"datastoreId": "e" * 32},
        {"imageSets": [{"id": TWO}]},
        {"imageSets": [{"id": ONE, "versionId": "1"}, {"id": TWO}]},
        {"imageSets": [{"id": ONE, "versionId": "2"}]},
        {"pipeline": {"name": "another"}},
        {"pipeline": {"name": "train", "parameters": {"A": "1"}}},
    ],
)
def test_a_run_is_immutable(apply, change):
    apply("TrainingRun", run_spec())
    done = apply("TrainingRun", run_spec(**change), check=False)
    assert done.returncode != 0
    assert "is immutable: create another TrainingRun" in done.stderr


def test_a_run_can_be_suspended_and_released(apply):
    apply("TrainingRun", run_spec(suspend=True))
    apply("TrainingRun", run_spec(suspend=False))


@pytest.mark.parametrize(
    "change", [{"manifestKey": "batches/x.json"}, {"inputS3Uri": "s3://a-bucket/x/"}]
)
def test_an_import_is_immutable(apply, change):
    apply("DICOMImportJob", import_spec())
    done = apply("DICOMImportJob", import_spec(**change), check=False)
    assert "is immutable: create another DICOMImportJob" in done.stderr


def test_a_trigger_can_be_changed(apply):
    apply("TrainingTrigger", trigger_spec())
    apply("TrainingTrigger", trigger_spec(suspend=True, events=["Created"]))


def test_the_largest_run_is_accepted(apply, kubectl, namespace):
    image_sets = [{"id": f"{n:032d}", "versionId": "1"} for n in range(5_000)]
    body = {
        "apiVersion": "isocenter.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "large"},
        "spec": run_spec(imageSets=image_sets),
    }
    # create, not apply: apply would repeat the whole in an annotation.
    kubectl("-n", namespace, "create", "-f", "-", stdin=body)
    body["spec"]["imageSets"].append({"id": f"{5_000:032d}"})
    body["metadata"]["name"] = "too-large"
    done = kubectl("-n", namespace, "create", "-f", "-", stdin=body, check=False)
    assert "must have at most 5000 items" in done.stderr
