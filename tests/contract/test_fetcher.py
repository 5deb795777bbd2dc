"""``isocenter-fetcher`` as a process: the real CT study from HealthImaging to disk."""

import hashlib
import json
import zlib

import httpx
import numpy as np
import pydicom
import pytest

from isocenter.core.dataset import parse_dataset
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.image_set import parse_metadata

MISSING = "0" * 32


@pytest.fixture(scope="module")
def fetch(command):
    """``isocenter-fetcher fetch`` with the pipeline's three arguments."""

    def run(output, *, datastore="none", image_set="none", request="none", extra=()):
        return command(
            "isocenter-fetcher",
            "fetch",
            *("--datastore-id", datastore),
            *("--image-set-id", image_set),
            *("--request-s3-uri", request),
            *("--output-dir", str(output)),
            *("--message-file", str(output.with_suffix(".message"))),
            *extra,
            FETCHER_DECODE_PROCESSES="1",
            FETCHER_SPLIT_SALT="contract",
        )

    return run


@pytest.fixture(scope="module")
def fetched(fetch, ct_study, tmp_path_factory):
    """The CT study as the fetcher left it: its directory and its manifest."""
    output = tmp_path_factory.mktemp("fetched") / "dataset"
    ended = fetch(
        output, datastore=ct_study.datastore_id, image_set=ct_study.image_set_id
    )
    assert ended.returncode == 0, ended.stderr
    body = (output / "manifest.json").read_bytes()
    return output, parse_dataset(body, source="manifest.json")


def test_every_instance_is_there_with_healthimagings_checksum(
    fetched, ct_study, ct_files
):
    _, manifest = fetched
    healthimaging = HealthImaging.connect()
    document = healthimaging.metadata(ct_study.datastore_id, ct_study.image_set_id, "1")
    recorded = {
        instance.sop_instance_uid: instance.frames[0]
        for instance in parse_metadata(document).instances
    }
    (entry,) = manifest.image_sets
    frames = [frame for array in entry.arrays for frame in array.frames]
    sent = {
        str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID)
        for f in ct_files
    }
    assert len(frames) == len(sent) == 28
    assert {frame.sop_instance_uid for frame in frames} == sent
    assert manifest.omissions == ()
    for frame in frames:
        assert frame.verified
        assert frame.crc32 == recorded[frame.sop_instance_uid].crc32
        assert frame.frame_id == recorded[frame.sop_instance_uid].id


def test_pixels_are_those_that_were_sent(fetched, ct_files):
    output, manifest = fetched
    sent = {
        str(dataset.SOPInstanceUID): dataset.pixel_array
        for dataset in map(pydicom.dcmread, ct_files)
    }
    for array in manifest.image_sets[0].arrays:
        values = np.load(output / array.path)
        assert values.shape == array.shape
        for plane, frame in zip(values, array.frames, strict=True):
            assert plane.dtype == sent[frame.sop_instance_uid].dtype
            np.testing.assert_array_equal(plane, sent[frame.sop_instance_uid])
            assert zlib.crc32(plane.tobytes()) == frame.crc32


def test_files_are_as_the_manifest_says(fetched):
    output, manifest = fetched
    named = {array.path: array for array in manifest.image_sets[0].arrays}
    files = {str(f.relative_to(output)): f for f in output.rglob("*") if f.is_file()}
    assert set(files) == {*named, "manifest.json"}
    for path, array in named.items():
        body = files[path].read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (
            array.bytes,
            array.sha256,
        )


def test_request_in_s3_gives_the_same_dataset(
    fetched, fetch, ct_study, s3, bucket, tmp_path
):
    request = {
        "schema": 1,
        "datastoreId": ct_study.datastore_id,
        "imageSets": [{"id": ct_study.image_set_id, "versionId": "1"}],
    }
    key = "requests/one/request.json"
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(request))
    output = tmp_path / "dataset"
    # "" is how a container's empty argument arrives, "none" how the pipeline says it.
    ended = fetch(output, datastore="", request=f"s3://{bucket}/{key}")
    assert ended.returncode == 0, ended.stderr
    manifest = parse_dataset((output / "manifest.json").read_bytes(), source="it")
    assert manifest.digest == fetched[1].digest
    assert [ref.version_id for ref in manifest.requested] == ["1"]


@pytest.mark.parametrize("absent", ["none", ""])
def test_nothing_asked_for_is_said(fetch, tmp_path, absent):
    output = tmp_path / "dataset"
    ended = fetch(output, datastore=absent, image_set=absent, request=absent)
    assert ended.returncode == 2
    assert "--request-s3-uri" in output.with_suffix(".message").read_text()


def test_missing_image_set_leaves_no_manifest(fetch, ct_study, tmp_path):
    output = tmp_path / "dataset"
    ended = fetch(output, datastore=ct_study.datastore_id, image_set=MISSING)
    assert ended.returncode == 3, ended.stderr
    message = output.with_suffix(".message").read_text()
    assert "ImageSetNotFound" in message
    assert MISSING in message
    assert not (output / "manifest.json").exists()


def test_missing_request_is_named(fetch, bucket, tmp_path):
    output = tmp_path / "dataset"
    uri = f"s3://{bucket}/requests/absent/request.json"
    ended = fetch(output, request=uri)
    assert ended.returncode == 5, ended.stderr
    assert uri in output.with_suffix(".message").read_text()


def test_service_writes_the_dataset_to_s3_once(
    serving, fetched, ct_study, s3, bucket, ports, wait_for, tmp_path
):
    http_port, health_port = ports(2)
    base = f"http://127.0.0.1:{http_port}"
    order = {
        "datastoreId": ct_study.datastore_id,
        "imageSets": [{"id": ct_study.image_set_id, "versionId": "1"}],
        "outputS3Uri": f"s3://{bucket}/datasets/ct/",
    }
    with serving(
        "isocenter-fetcher",
        "serve",
        ready=f"{base}/readyz",
        FETCHER_HTTP_PORT=str(http_port),
        FETCHER_HEALTH_PORT=str(health_port),
        FETCHER_BUCKET=bucket,
        FETCHER_DECODE_PROCESSES="1",
        FETCHER_SPLIT_SALT="contract",
        FETCHER_WORK_DIR=str(tmp_path / "work"),
    ):
        answer = httpx.post(f"{base}/v1/datasets", json=order)
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["id"]

        def ended():
            job = httpx.get(f"{base}/v1/datasets/{job_id}").json()
            return job if job["status"] in {"Succeeded", "Failed"} else None

        job = wait_for(ended)
        assert job["status"] == "Succeeded", job
        again = httpx.post(f"{base}/v1/datasets", json=order).json()
        assert (again["id"], again["status"]) == (job_id, "Succeeded")
        assert again["attempt"] == 1
        unknown = httpx.get(f"{base}/v1/datasets/{MISSING}")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "JobNotFound")
    assert job["result"]["manifestS3Uri"] == f"s3://{bucket}/datasets/ct/manifest.json"
    body = s3.get_object(Bucket=bucket, Key="datasets/ct/manifest.json")["Body"].read()
    manifest = parse_dataset(body, source="S3")
    assert manifest.digest == fetched[1].digest == job["result"]["digest"]
    for array in manifest.image_sets[0].arrays:
        stored = s3.get_object(Bucket=bucket, Key=f"datasets/ct/{array.path}")
        assert hashlib.sha256(stored["Body"].read()).hexdigest() == array.sha256
    assert not any((tmp_path / "work").glob("*/manifest.json"))
