"""DICOMImportJobs against HealthImaging: real import jobs, seen by the operator."""

import hashlib
from datetime import UTC, datetime, timedelta

import pydicom
import pytest

from isocenter.core.batch import BatchManifest, StoredInstance
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.import_jobs import ImportJobs
from isocenter.operator.imports import Imports
from isocenter.operator.objects import ObjectStore
from isocenter.operator.reconciling import Next
from isocenter.operator.resources import DICOMImportJob

ROLE = "arn:aws:iam::111122223333:role/import"


@pytest.fixture(scope="module")
def datastore(make_datastore):
    return make_datastore("imports")


@pytest.fixture
def import_body(datastore, bucket, request):
    """A DICOMImportJob of this test's own, on a prefix of its own."""

    def build(**spec):
        name = request.node.name.replace("_", "-").replace("[", "-").rstrip("]")
        return {
            "metadata": {
                "name": name,
                "namespace": "contract",
                "uid": f"uid-of-{name}",
            },
            "spec": {
                "datastoreId": datastore,
                "inputS3Uri": f"s3://{bucket}/by-hand/{name}/",
                "outputS3Uri": f"s3://{bucket}/import-output/",
            }
            | spec,
        }

    return build


@pytest.fixture
def look(aws, patched):
    """One look of the operator; answers the resource after it and what comes next."""
    imports = Imports(HealthImaging.connect(), ObjectStore.connect(), ROLE)
    reconciler = ImportJobs(imports, output_wait=timedelta(seconds=30))

    def once(body):
        result = reconciler.reconcile(body, datetime.now(UTC))
        return patched(body, result.patch), result.after

    return once


@pytest.fixture
def run(look, wait_for):
    """Looks until the operator is done with the resource."""

    def to_its_end(body):
        held = [body]

        def settled():
            held[0], after = look(held[0])
            return held[0] if after is Next.SETTLED else None

        return wait_for(settled)

    return to_its_end


def condition(body, kind):
    found = [c for c in body["status"]["conditions"] if c["type"] == kind]
    return found[0] if found else None


def prefix_of(body, bucket):
    return body["spec"]["inputS3Uri"].removeprefix(f"s3://{bucket}/")


def seal(s3, bucket, datastore, batch, bodies):
    """A batch as the Store SCP leaves it: its instances, then its manifest."""
    instances = []
    for number, body in enumerate(bodies):
        key = f"DICOM/{batch}/{number}.dcm"
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        instances.append(
            StoredInstance(
                key=key,
                sop_instance_uid=f"1.2.{number}",
                sop_class_uid="1.2",
                study_instance_uid="1.2",
                series_instance_uid="1.2",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                bytes=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
                calling_ae="CT",
                received_at=datetime.now(UTC),
            )
        )
    manifest = BatchManifest(
        batch=batch,
        datastore=datastore,
        sealed_at=datetime.now(UTC),
        instances=tuple(instances),
    )
    key = f"batches/{batch}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=manifest.to_json())
    return key


def test_sealed_batch_is_imported_once(
    s3, bucket, datastore, import_body, look, run, make_slice, imaging
):
    first = make_slice()
    key = seal(s3, bucket, datastore, "b1-imports", [first, make_slice(like=first)])
    body = import_body(inputS3Uri=f"s3://{bucket}/DICOM/b1-imports/", manifestKey=key)
    submitted, after = look(body)
    assert after is Next.POLL
    assert submitted["status"]["phase"] == "Submitted"
    # Killed before the status was stored, and made anew under another uid: one job.
    again, _ = look({**body, "metadata": {**body["metadata"], "uid": "another"}})
    assert again["status"]["jobId"] == submitted["status"]["jobId"]

    status = run(submitted)["status"]
    assert status["phase"] == "Completed"
    assert (status["scanned"], status["imported"]) == (2, 2)
    assert status.get("failed", 0) == 0
    ((image_set),) = status["imageSets"]
    found = imaging.get_image_set(datastoreId=datastore, imageSetId=image_set["id"])
    assert found["versionId"] == image_set["versionId"] == "1"
    assert image_set["isPrimary"] is True
    verdict = condition({"status": status}, "AllInstancesImported")
    assert (verdict["status"], verdict["reason"]) == ("True", "AllImported")
    DICOMImportJob.model_validate({**body, "status": status})


def test_by_hand_on_a_prefix(import_body, bucket, upload, run, make_slice):
    body = import_body()
    upload(prefix_of(body, bucket), [make_slice(), make_slice()])
    status = run(body)["status"]
    assert (status["phase"], status["imported"]) == ("Completed", 2)
    assert len(status["imageSets"]) == 2
    assert status["outputS3Uri"].startswith(f"s3://{bucket}/import-output/")
    assert status["jobId"] in status["outputS3Uri"]


def test_empty_prefix_is_not_submitted(import_body, run):
    ended = run(import_body())
    assert ended["status"]["phase"] == "Failed"
    assert "jobId" not in ended["status"]
    assert condition(ended, "Completed")["reason"] == "InputNotFound"
    assert ended["spec"]["inputS3Uri"] in ended["status"]["message"]


def test_partial_failure_is_told_with_its_counts(
    import_body, bucket, upload, run, make_slice
):
    body = import_body()
    prefix = prefix_of(body, bucket)
    upload(prefix, [make_slice()])
    upload(f"{prefix}not-dicom/", [b"%PDF-1.7 a report"], suffix="pdf")
    ended = run(body)
    status = ended["status"]
    assert status["phase"] == "Completed"
    assert [status[name] for name in ("scanned", "imported", "failed")] == [2, 1, 1]
    verdict = condition(ended, "AllInstancesImported")
    assert (verdict["status"], verdict["reason"]) == ("False", "SomeFilesFailed")
    assert "FAILURE" in verdict["message"]


def test_nothing_but_other_bytes(import_body, bucket, upload, run):
    body = import_body()
    upload(prefix_of(body, bucket), [b"neither this", b"nor that"])
    ended = run(body)
    status = ended["status"]
    assert status["phase"] == "Completed"
    assert [status.get(name, 0) for name in ("scanned", "imported", "failed")] == [
        2,
        0,
        2,
    ]
    assert "imageSets" not in status
    assert condition(ended, "AllInstancesImported")["reason"] == "NothingImported"


def test_instance_without_a_study_is_a_failed_file(
    import_body, bucket, upload, run, data
):
    body = import_body()
    file = data / "small" / "missing_study_uid.dcm"
    assert "StudyInstanceUID" not in pydicom.dcmread(file)
    upload(prefix_of(body, bucket), [file.read_bytes()])
    assert condition(run(body), "AllInstancesImported")["reason"] == "NothingImported"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"inputS3Uri": "s3://no-such-bucket/DICOM/"}, "BucketNotFound"),
        ({"manifestKey": "batches/absent.json"}, "ManifestNotFound"),
        ({"datastoreId": "0" * 32}, "DatastoreNotFound"),
    ],
    ids=["bucket", "manifest", "datastore"],
)
def test_what_is_missing_is_named(
    import_body, bucket, upload, run, make_slice, wrong, reason
):
    body = import_body(**wrong)
    if "inputS3Uri" not in wrong:
        upload(prefix_of(body, bucket), [make_slice()])
    ended = run(body)
    assert ended["status"]["phase"] == "Failed"
    assert condition(ended, "Completed")["reason"] == reason


def test_busy_service_is_asked_again(
    import_body, bucket, upload, look, run, make_slice, control
):
    body = import_body()
    upload(prefix_of(body, bucket), [make_slice()])
    fault = {"operation": "StartDICOMImportJob", "error": "ConflictException"}
    control("POST", "healthimaging", "faults", **fault, count=1)
    held, after = look(body)
    assert after is Next.BACK_OFF
    assert held["status"]["phase"] == "Pending"
    assert run(held)["status"]["imported"] == 1
