import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from isocenter.operator.import_jobs import ImportJobs
from isocenter.operator.imports import Imports
from isocenter.operator.reconciling import Next

ROLE = "arn:aws:iam::111122223333:role/import"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def look(healthimaging, objects, merged, s3):
    s3.objects["DICOM/a-batch/1.dcm"] = b"dicom"
    jobs = ImportJobs(
        Imports(healthimaging, objects, ROLE), output_wait=timedelta(seconds=600)
    )

    def once(body, at=NOW):
        result = jobs.reconcile(body, at)
        return result, merged(body, result.patch)

    return once


def condition(body, kind):
    return next(c for c in body["status"]["conditions"] if c["type"] == kind)


def output(job_id, **summary):
    return json.dumps(
        {
            "jobSummary": {
                "jobId": job_id,
                "datastoreId": "d" * 32,
                "outputS3Uri": "s3://a-bucket/x/",
                "failureOutputS3Uri": "s3://a-bucket/x/FAILURE/",
                "numberOfScannedFiles": 2,
                "numberOfImportedFiles": 2,
                "imageSetsSummary": [
                    {"imageSetId": "1" * 32, "imageSetVersion": 1, "isPrimary": True}
                ],
            }
            | summary
        }
    ).encode()


def manifest_key(job_id):
    return f"import-output/{'d' * 32}-DicomImport-{job_id}/job-output-manifest.json"


def test_an_import_from_start_to_end(look, import_body, healthimaging_api, s3):
    result, body = look(import_body)
    assert (result.phase, body["status"]["jobId"]) == ("Submitted", "j0")
    request = healthimaging_api.jobs["j0"]["request"]
    assert request["jobName"] == "a-batch"
    assert request["dataAccessRoleArn"] == ROLE
    assert request["clientToken"] == hashlib.sha256(b"uid-of-import").hexdigest()

    healthimaging_api.jobs["j0"]["jobStatus"] = "IN_PROGRESS"
    result, body = look(body)
    assert (result.phase, result.after) == ("InProgress", Next.POLL)

    healthimaging_api.jobs["j0"]["jobStatus"] = "COMPLETED"
    _, body = look(body)
    assert condition(body, "Completed")["reason"] == "AwaitingOutput"

    s3.objects[manifest_key("j0")] = output("j0")
    result, body = look(body)
    assert (result.phase, result.after) == ("Completed", Next.SETTLED)
    assert body["status"]["imageSets"] == [
        {"id": "1" * 32, "versionId": "1", "isPrimary": True}
    ]
    assert condition(body, "AllInstancesImported")["status"] == "True"


def test_the_documented_output_uri_lacks_the_folder(
    look, import_body, healthimaging_api, s3
):
    _, body = look(import_body)
    healthimaging_api.jobs["j0"] |= {
        "jobStatus": "COMPLETED",
        "outputS3Uri": "s3://a-bucket/import-output",
    }
    s3.objects[manifest_key("j0")] = output("j0")
    assert look(body)[0].phase == "Completed"


def test_failed_files_are_named(look, import_body, healthimaging_api, s3):
    _, body = look(import_body)
    healthimaging_api.jobs["j0"]["jobStatus"] = "COMPLETED"
    s3.objects[manifest_key("j0")] = output(
        "j0", numberOfImportedFiles=1, numberOfFilesWithCustomerError=1
    )
    _, body = look(body)
    told = condition(body, "AllInstancesImported")
    assert (told["status"], told["reason"]) == ("False", "SomeFilesFailed")
    assert "s3://a-bucket/x/FAILURE/" in told["message"]
    assert body["status"]["failed"] == 1


def test_a_manifest_that_never_comes_ends_the_wait(
    look, import_body, healthimaging_api
):
    _, body = look(import_body)
    healthimaging_api.jobs["j0"]["jobStatus"] = "COMPLETED"
    _, body = look(body)
    result, body = look(body, NOW + timedelta(seconds=601))
    assert result.phase == "Completed"
    assert condition(body, "AllInstancesImported")["reason"] == "OutputMissing"


def test_a_manifest_that_is_no_json(look, import_body, healthimaging_api, s3):
    _, body = look(import_body)
    healthimaging_api.jobs["j0"]["jobStatus"] = "COMPLETED"
    s3.objects[manifest_key("j0")] = b"{"
    _, body = look(body)
    assert condition(body, "AllInstancesImported")["reason"] == "OutputMalformed"


def test_equal_manifests_are_one_import(look, import_body, healthimaging_api, s3):
    s3.objects["batches/a-batch.json"] = b"the manifest"
    import_body["spec"]["manifestKey"] = "batches/a-batch.json"
    look(import_body)
    again = import_body | {"metadata": import_body["metadata"] | {"uid": "another"}}
    _, body = look(again)
    assert list(healthimaging_api.jobs) == ["j0"]
    assert body["status"]["jobId"] == "j0"
    token = healthimaging_api.jobs["j0"]["request"]["clientToken"]
    assert token == hashlib.sha256(b"the manifest").hexdigest()


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"inputS3Uri": "s3://a-bucket/empty/"},
            "InputNotFound",
            "s3://a-bucket/empty/",
        ),
        ({"inputS3Uri": "s3://nobody/x/"}, "BucketNotFound", "s3://nobody/x/"),
        ({"manifestKey": "batches/none.json"}, "ManifestNotFound", "batches/none.json"),
        ({"datastoreId": "e" * 32}, "DatastoreNotFound", "e" * 32),
    ],
)
def test_wrong_input_ends_the_import(
    look, import_body, healthimaging_api, spec, reason, words
):
    import_body["spec"] |= spec
    result, body = look(import_body)
    assert (result.phase, result.after) == ("Failed", Next.SETTLED)
    assert condition(body, "Completed")["reason"] == reason
    assert words in body["status"]["message"]
    assert not healthimaging_api.jobs


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("ThrottlingException", 429, "Throttled"),
        ("ServiceQuotaExceededException", 402, "QuotaExceeded"),
        ("ConflictException", 409, "Throttled"),
        ("InternalServerException", 500, "AwsUnavailable"),
    ],
)
def test_what_passes_is_waited_for(
    look, import_body, healthimaging_api, code, status, reason
):
    healthimaging_api.fail("StartDICOMImportJob", code, status=status)
    result, body = look(import_body)
    assert result.after is Next.BACK_OFF
    assert body["status"]["phase"] == "Pending"
    assert condition(body, "Completed")["reason"] == reason
    assert look(body)[0].phase == "Submitted"


def test_no_role_waits_for_one(healthimaging, objects, import_body, s3):
    s3.objects["DICOM/a-batch/1.dcm"] = b""
    jobs = ImportJobs(
        Imports(healthimaging, objects, None), output_wait=timedelta(seconds=1)
    )
    result = jobs.reconcile(import_body, NOW)
    assert (result.phase, result.after) == ("Pending", Next.BACK_OFF)
    assert "import_role_arn" in result.patch["message"]


def test_a_job_that_is_gone_ends_it(look, import_body, healthimaging_api):
    _, body = look(import_body)
    healthimaging_api.jobs.clear()
    result, body = look(body)
    assert result.phase == "Failed"
    assert condition(body, "Completed")["reason"] == "ImportJobNotFound"
