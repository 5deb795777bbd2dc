import json

from isocenter.devcloud.healthimaging.import_warnings import (
    InstanceWarning,
    WarningReason,
)
from isocenter.devcloud.healthimaging.outcome import (
    FileFailure,
    ImageSetOutcome,
    ImportedFile,
    JobOutcome,
)

WARNING = InstanceWarning(WarningReason.INVALID_OFFSET_TABLE, "bad table")
OUTCOME = JobOutcome(
    imported=[
        ImportedFile("in/a.dcm", "1" * 32),
        ImportedFile("in/b.dcm", "2" * 32, (WARNING,)),
    ],
    failures=[
        FileFailure("in/c.txt", "no"),
        FileFailure("in/d.dcm", "oh", server_error=True),
    ],
    image_sets=[
        ImageSetOutcome("1" * 32, 2, is_primary=True, matched_instances=1),
        ImageSetOutcome("2" * 32, 1, is_primary=False, matched_instances=1),
    ],
)
JOB = {
    "job_id": "j" * 32,
    "datastore_id": "d" * 32,
    "input_s3_uri": "s3://b/in/",
    "output_s3_uri": "s3://b/out/x/",
}


def lines(files, name):
    return [json.loads(line) for line in files[name].decode().splitlines()]


def test_the_files_and_their_order():
    names = [name for name, _ in OUTCOME.files(**JOB)]
    assert names == [
        "SUCCESS/success.ndjson",
        "FAILURE/failure.ndjson",
        "WARNING/warning.ndjson",
        "job-output-manifest.json",
    ]


def test_a_job_without_failures_has_no_failure_file():
    outcome = JobOutcome(OUTCOME.imported[:1], [], OUTCOME.image_sets[:1])
    names = [name for name, _ in outcome.files(**JOB)]
    assert names == ["SUCCESS/success.ndjson", "job-output-manifest.json"]


def test_the_lines():
    files = dict(OUTCOME.files(**JOB))
    assert lines(files, "SUCCESS/success.ndjson")[0] == {
        "inputFile": "in/a.dcm",
        "importResponse": {"imageSetId": "1" * 32, "isPrimary": True},
    }
    assert [
        each["exception"]["exceptionType"]
        for each in lines(files, "FAILURE/failure.ndjson")
    ] == ["ValidationException", "InternalServerException"]
    assert lines(files, "WARNING/warning.ndjson") == [
        {
            "inputFile": "in/b.dcm",
            "importResponse": {
                "imageSetId": "2" * 32,
                "imageSetVersion": 1,
                "isPrimary": False,
                "warnings": [
                    {
                        "warning_reason_code": 45330,
                        "type": "InvalidOffsetTable",
                        "message": "bad table",
                    }
                ],
            },
        }
    ]


def test_the_manifest():
    summary = json.loads(dict(OUTCOME.files(**JOB))["job-output-manifest.json"])
    summary = summary["jobSummary"]
    assert summary["numberOfScannedFiles"] == 4
    assert summary["numberOfImportedFiles"] == 2
    assert summary["numberOfFilesWithCustomerError"] == 1
    assert summary["numberOfFilesWithServerError"] == 1
    assert summary["numberOfGeneratedImageSets"] == 2
    assert summary["successOutputS3Uri"] == "s3://b/out/x/SUCCESS/"
    assert summary["imageSetsSummary"][0] == {
        "imageSetId": "1" * 32,
        "imageSetVersion": 2,
        "isPrimary": True,
        "numberOfMatchedSOPInstances": 1,
    }
