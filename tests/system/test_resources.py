"""Resources by hand, events twice, and bad input: each does what it says."""

import json
import uuid

import pytest
from demo.install import datastore_id


@pytest.fixture(scope="module")
def datastore():
    return datastore_id()


@pytest.fixture
def name():
    return f"test-{uuid.uuid4().hex[:8]}"


def condition(resource, kind):
    found = {c["type"]: c for c in resource["status"]["conditions"]}
    return found[kind]


def test_a_training_run_by_hand(apply, phase, manifest, datastore, name, read_s3):
    (entry,) = manifest["imageSets"]
    apply(
        "TrainingRun",
        name,
        {
            "datastoreId": datastore,
            "imageSets": [{"id": entry["imageSetId"]}],
            "pipeline": {"name": "ahi-mlops-pipeline"},
        },
    )
    run = phase("trainingrun", name, "Succeeded", "Failed", seconds=240)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    assert f"/runs/isocenter/{name}/attempt-1/" in run["status"]["datasetS3Uri"]
    made = json.loads(read_s3(run["status"]["datasetS3Uri"] + "/manifest.json"))
    assert made["requested"][0]["id"] == entry["imageSetId"]


def test_an_import_by_hand(apply, phase, aws, manifest, datastore, name, sent):
    """A prefix that somebody else filled: real files, and one that is not DICOM."""
    prefix = f"archive/{name}/"
    s3 = aws("s3")
    for file in sent[:2]:
        s3.upload_file(str(file), "isocenter-data", f"{prefix}{file.name}")
    s3.put_object(Bucket="isocenter-data", Key=f"{prefix}notes.txt", Body=b"not DICOM")
    apply(
        "DICOMImportJob",
        name,
        {
            "datastoreId": datastore,
            "inputS3Uri": f"s3://isocenter-data/{prefix}",
            "outputS3Uri": "s3://isocenter-data/import-output/",
        },
    )
    job = phase("dicomimportjob", name, "Completed", "Failed")
    status = job["status"]
    assert (status["phase"], status["scanned"], status["imported"]) == (
        "Completed",
        3,
        2,
    )
    assert status["failed"] == 1
    told = condition(job, "AllInstancesImported")
    assert told["status"] == "False"
    assert "FAILURE" in told["message"], "says where the reasons are"
    assert condition(job, "Completed")["status"] == "True"
    assert status["imageSets"]


def test_the_whole_dicom_prefix_by_hand(apply, phase, datastore, name):
    apply(
        "DICOMImportJob",
        name,
        {
            "datastoreId": datastore,
            "inputS3Uri": "s3://isocenter-data/DICOM/",
            "outputS3Uri": "s3://isocenter-data/import-output/",
        },
    )
    job = phase("dicomimportjob", name, "Completed", "Failed")
    assert job["status"]["phase"] == "Completed"
    assert job["status"]["imported"] >= 28
    assert condition(job, "AllInstancesImported")["status"] == "True"


@pytest.mark.parametrize("key", ["imagesetId", "imageSetId"])
def test_both_spellings_start_one_run_each(
    apply, aws, get, wait_for, manifest, datastore, name, key, kubectl
):
    """A trigger of suspended runs, and an event that comes three times."""
    (entry,) = manifest["imageSets"]
    apply(
        "TrainingTrigger",
        name,
        {
            "datastoreId": datastore,
            "template": {"pipeline": {"name": "ahi-mlops-pipeline"}, "suspend": True},
        },
    )

    def send():
        aws("events").put_events(
            Entries=[
                {
                    "Source": "aws.medical-imaging",
                    "DetailType": "Image Set Created",
                    "Resources": [],
                    "Detail": json.dumps(
                        {
                            "imagingVersion": "1.0",
                            "datastoreId": datastore,
                            key: entry["imageSetId"],
                            "imageSetState": "ACTIVE",
                            "imageSetWorkflowStatus": "CREATED",
                        }
                    ),
                }
            ]
        )

    def runs():
        return [
            run["metadata"]["name"]
            for run in get("trainingruns", "-l", f"isocenter.dev/trigger={name}")[
                "items"
            ]
        ]

    def seen():
        status = get("trainingtrigger", name).get("status", {})
        return status.get("eventsSeen", 0)

    try:
        send()
        wait_for(runs)
        send()
        send()
        wait_for(lambda: seen() >= 3)
        assert len(runs()) == 1
        assert entry["imageSetId"] in runs()[0]
    finally:
        kubectl("delete", "trainingruns", "-l", f"isocenter.dev/trigger={name}")


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (
            {"pipeline": {"name": "no-such-pipeline"}},
            "PipelineNotFound",
            "no-such-pipeline",
        ),
        ({"imageSets": [{"id": "0" * 32}]}, "ImageSetNotFound", "0" * 32),
    ],
)
def test_a_run_that_cannot_start_says_why(
    apply, phase, manifest, datastore, name, change, reason, words
):
    (entry,) = manifest["imageSets"]
    apply(
        "TrainingRun",
        name,
        {
            "datastoreId": datastore,
            "imageSets": [{"id": entry["imageSetId"]}],
            "pipeline": {"name": "ahi-mlops-pipeline"},
            **change,
        },
    )
    run = phase("trainingrun", name, "Failed", "Succeeded")
    assert run["status"]["phase"] == "Failed"
    told = condition(run, "Succeeded")
    assert (told["status"], told["reason"]) == ("False", reason)
    assert words in told["message"]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://isocenter-data/nothing-here/", "InputNotFound"),
        ("s3://no-such-bucket-anywhere/DICOM/", "BucketNotFound"),
    ],
)
def test_an_import_that_cannot_start_says_why(
    apply, phase, datastore, name, uri, reason
):
    apply(
        "DICOMImportJob",
        name,
        {
            "datastoreId": datastore,
            "inputS3Uri": uri,
            "outputS3Uri": "s3://isocenter-data/import-output/",
        },
    )
    job = phase("dicomimportjob", name, "Failed", "Completed")
    told = condition(job, "Completed")
    assert (job["status"]["phase"], told["reason"]) == ("Failed", reason)
    assert uri in told["message"]


@pytest.mark.parametrize(
    ("account", "verb", "resource", "allowed"),
    [
        ("operator", "create", "trainingruns.isocenter.dev", False),
        ("operator", "patch", "trainingruns.isocenter.dev", False),
        ("operator", "patch", "trainingruns.isocenter.dev/status", True),
        ("operator", "get", "secrets", False),
        ("intake", "create", "trainingruns.isocenter.dev", True),
        ("intake", "create", "dicomimportjobs.isocenter.dev", True),
        ("intake", "delete", "trainingruns.isocenter.dev", False),
        ("intake", "patch", "trainingruns.isocenter.dev/status", False),
        ("storescp", "get", "pods", False),
    ],
)
def test_accounts_may_do_their_work_and_no_more(
    kubectl, account, verb, resource, allowed
):
    kind, _, part = resource.partition("/")
    answer = kubectl(
        *("auth", "can-i", verb, kind, f"--subresource={part}"),
        f"--as=system:serviceaccount:isocenter:isocenter-{account}",
        check=False,
    )
    assert answer.stdout.strip() == ("yes" if allowed else "no")
