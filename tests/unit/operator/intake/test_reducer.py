import json
from pathlib import Path

import pytest
import yaml

from isocenter.core.batch import parse_manifest
from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.answers import ImageSetState
from isocenter.operator.intake.reducer import (
    Desired,
    desired_import,
    desired_run,
    fit,
    run_name,
)
from isocenter.operator.resources import DICOMImportJob, TrainingRun, TrainingTrigger

TABLE = Path(__file__).parents[3] / "data/lifecycle/intake_reducer.yaml"
CASES = yaml.safe_load(TABLE.read_text())
IS = "1" * 32


def trigger(name="t", **spec):
    return TrainingTrigger.model_validate(
        {
            "metadata": {"name": name, "namespace": "imaging"},
            "spec": {
                "datastoreId": "d" * 32,
                "template": {"pipeline": {"name": "p", "parameters": {"A": "1"}}},
            }
            | spec,
        }
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_desired_run(case):
    given = case.get("image_set", {})
    state = ImageSetState(
        IS,
        given.get("version", "1"),
        given.get("state", "ACTIVE"),
        given.get("workflow", "CREATED"),
        given.get("primary", True),
    )
    desired = desired_run(
        trigger(**case.get("trigger", {})), case.get("event"), state, "event-1"
    )
    match case["expect"]:
        case {"run": name}:
            assert isinstance(desired, Desired)
            assert desired.name == name.format(id=IS)
        case {"skip": reason}:
            assert desired == reason


def test_the_run_parses_and_says_where_it_comes_from():
    state = ImageSetState(IS, "1", "ACTIVE", "CREATED", True)
    desired = desired_run(
        trigger(template={"pipeline": {"name": "p"}, "suspend": True}),
        "Created",
        state,
        "event-1",
    )
    run = TrainingRun.model_validate(desired.body)
    assert run.spec.suspend
    assert (run.spec.image_sets[0].id, run.spec.image_sets[0].version_id) == (IS, "1")
    assert desired.body["metadata"]["labels"] == {"isocenter.dev/trigger": "t"}
    assert run.metadata.annotations == {"isocenter.dev/event": "event-1"}


def test_names_fit_and_stay_apart():
    first, second = "x" * 250 + "a", "x" * 250 + "b"
    names = {run_name(t, IS, "12") for t in (first, second)}
    assert len(names) == 2
    assert all(len(name) == 253 and name.endswith(f"-{IS}-v12") for name in names)
    assert fit("short", 63) == "short"
    assert len(fit("a" * 70, 63)) == 63
    assert ".-" not in fit("a" * 53 + "." * 20, 63)


def manifest(*keys, batch="20261123t100000-pod-0"):
    return parse_manifest(
        json.dumps(
            {
                "schema": 1,
                "batch": batch,
                "datastore": "d" * 32,
                "sealedAt": "2026-11-23T10:00:00Z",
                "instances": [
                    {
                        "key": key,
                        "sopInstanceUid": "1.2",
                        "sopClassUid": "1.2",
                        "studyInstanceUid": "1.2",
                        "seriesInstanceUid": "1.2",
                        "transferSyntaxUid": "1.2",
                        "bytes": 1,
                        "sha256": "0" * 64,
                        "callingAE": "CT",
                        "receivedAt": "2026-11-23T10:00:00Z",
                    }
                    for key in keys
                ],
            }
        ).encode(),
        source="test",
    )


def imported(content, key="batches/20261123t100000-pod-0.json"):
    return desired_import(
        content,
        bucket="a-bucket",
        key=key,
        namespace="imaging",
        batches_prefix="batches/",
        output_prefix="import-output/",
        event_id="event-1",
    )


def test_a_batch_becomes_an_import_of_its_folder():
    folder = "DICOM/20261123t100000-pod-0"
    desired = imported(manifest(f"{folder}/1.dcm", f"{folder}/2.dcm"))
    job = DICOMImportJob.model_validate(desired.body)
    assert desired.name == job.metadata.name == "20261123t100000-pod-0"
    assert job.spec.input_s3_uri == f"s3://a-bucket/{folder}/"
    assert job.spec.output_s3_uri == f"s3://a-bucket/import-output/{desired.name}/"
    assert job.spec.manifest_key == "batches/20261123t100000-pod-0.json"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (["DICOM/a/1.dcm", "DICOM/b/1.dcm"], "batches/20261123t100000-pod-0.json"),
        (["1.dcm"], "batches/20261123t100000-pod-0.json"),
        (["DICOM/1.dcm"], "batches/20261123t100000-pod-0.json"),
        (["DICOM/a/1.dcm"], "batches/another.json"),
    ],
)
def test_a_batch_that_would_import_something_else_is_refused(keys, key):
    with pytest.raises(MalformedError, match="s3://a-bucket/batches/"):
        imported(manifest(*keys), key)
