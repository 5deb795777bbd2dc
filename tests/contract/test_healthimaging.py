"""isocenter.core.healthimaging against HealthImaging's API over HTTP."""

import json
import zlib
from datetime import UTC, datetime, timedelta

import boto3
import openjpeg
import pydicom
import pytest

from isocenter.core.errors import NotFoundError, RefusedError
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.events import ImageSetEvent, parse_event
from isocenter.core.healthimaging.image_set import parse_metadata
from isocenter.core.healthimaging.import_output import (
    manifest_uri,
    parse_import_output,
)

ROLE = "arn:aws:iam::111122223333:role/import"


@pytest.fixture(scope="module")
def health_imaging(aws):
    return HealthImaging.connect()


@pytest.fixture(scope="module")
def imported(health_imaging, s3, datastore_id, ct_files, wait_for):
    """Five slices and a text file, imported; the job and its summary."""
    for file in ct_files[:5]:
        s3.upload_file(str(file), "isocenter-data", f"DICOM/b1/{file.name}")
    s3.put_object(Bucket="isocenter-data", Key="DICOM/b1/readme.txt", Body=b"text")
    arguments = {
        "datastore_id": datastore_id,
        "client_token": "contract-import",
        "role_arn": ROLE,
        "input_s3_uri": "s3://isocenter-data/DICOM/b1/",
        "output_s3_uri": "s3://isocenter-data/import-output/",
        "job_name": "b1",
    }
    job_id = health_imaging.start_import(**arguments)
    assert health_imaging.start_import(**arguments) == job_id, "same token, same job"

    def ended():
        job = health_imaging.import_job(datastore_id, job_id)
        return job if job.ended else None

    job = wait_for(ended)
    bucket, key = manifest_uri(job.output_s3_uri).removeprefix("s3://").split("/", 1)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return job, parse_import_output(json.loads(body), source=key)


def test_import_counts_and_failures(imported, s3):
    job, summary = imported
    assert job.status == "COMPLETED"
    assert summary.number_of_scanned_files == 6
    assert summary.number_of_imported_files == 5
    assert summary.number_of_files_with_customer_error == 1
    (image_set,) = summary.image_sets_summary
    assert image_set.is_primary is True
    bucket, prefix = summary.failure_output_s3_uri.removeprefix("s3://").split("/", 1)
    failures = s3.get_object(Bucket=bucket, Key=f"{prefix}failure.ndjson")[
        "Body"
    ].read()
    (failure,) = [json.loads(line) for line in failures.splitlines()]
    assert failure["inputFile"].endswith("readme.txt")
    assert failure["exception"]["message"]


def test_frames_have_the_recorded_checksum_and_the_sent_pixels(
    imported, health_imaging, datastore_id, ct_files
):
    image_set_id = imported[1].image_sets_summary[0].image_set_id
    state = health_imaging.image_set(datastore_id, image_set_id)
    assert state.readable
    metadata = parse_metadata(
        health_imaging.metadata(datastore_id, image_set_id, state.version_id)
    )
    sent = {
        str(ds.SOPInstanceUID): ds
        for ds in (pydicom.dcmread(file) for file in ct_files[:5])
    }
    assert {i.sop_instance_uid for i in metadata.instances} == set(sent)
    for instance in metadata.instances:
        (frame,) = instance.frames
        codestream = health_imaging.frame_bytes(datastore_id, image_set_id, frame.id)
        pixels = openjpeg.decode(codestream).astype("<i2")
        assert zlib.crc32(pixels.tobytes()) == frame.crc32
        assert (pixels == sent[instance.sop_instance_uid].pixel_array).all()


def test_search_by_time_finds_it(imported, health_imaging, datastore_id):
    now = datetime.now(UTC)
    found = list(
        health_imaging.updated_between(
            datastore_id, now - timedelta(hours=1), now + timedelta(minutes=1)
        )
    )
    wanted = imported[1].image_sets_summary[0].image_set_id
    assert wanted in {each.image_set_id for each in found}
    before = now - timedelta(hours=2)
    assert not list(
        health_imaging.updated_between(
            datastore_id, before, before + timedelta(minutes=1)
        )
    )


def test_events_arrive_with_the_documented_shape(
    imported, aws, queue_url, datastore_id, wait_for
):
    queue = boto3.client("sqs")
    wanted = imported[1].image_sets_summary[0].image_set_id
    seen: list[ImageSetEvent] = []
    hidden: list[str] = []

    def arrived():
        # Long enough to get through a queue that earlier tests filled.
        answer = queue.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=60
        )
        for message in answer.get("Messages", []):
            hidden.append(message["ReceiptHandle"])
            event = parse_event(json.loads(message["Body"]))
            if isinstance(event, ImageSetEvent) and event.image_set_id == wanted:
                seen.append(event)
        return seen or None

    event = wait_for(arrived)[0]
    for handle in hidden:
        queue.change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=handle, VisibilityTimeout=0
        )
    assert (event.kind, event.version, event.is_primary) == (
        "Image Set Created",
        "1",
        True,
    )
    assert event.datastore_id == datastore_id


def test_errors_are_ours(imported, health_imaging, datastore_id):
    with pytest.raises(NotFoundError, match=r"0{32}"):
        health_imaging.image_set(datastore_id, "0" * 32)
    with pytest.raises(NotFoundError):
        health_imaging.import_job(datastore_id, "0" * 32)
    with pytest.raises(RefusedError):
        health_imaging.image_set(datastore_id, "not an id")
