"""From the scanner to the model: what arrived is what was sent."""

import io
import json
import tarfile
import urllib.request

import numpy as np
import pydicom
import pytest
from demo.place import NAMESPACE
from demo.port_forward import port_forward
from demo.unpack import unpack

from isocenter.core.codestream.levels import scan_levels
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.image_set import parse_metadata
from isocenter.pipeline.training.model import load


@pytest.fixture(scope="module")
def metadata(aws, manifest):
    """HealthImaging's own metadata of the image set that was trained on."""
    (entry,) = manifest["imageSets"]
    document = HealthImaging(aws("medical-imaging")).metadata(
        manifest["datastoreId"], entry["imageSetId"], entry["versionId"]
    )
    return parse_metadata(document)


@pytest.fixture(scope="module")
def proxy():
    with port_forward(NAMESPACE, "isocenter-tlm-proxy", 80) as port:
        yield f"http://localhost:{port}"


def records(manifest):
    return [
        record
        for entry in manifest["imageSets"]
        for array in entry["arrays"]
        for record in array["frames"]
    ]


def test_every_instance_is_in_the_dataset(manifest, sent):
    uids = {
        str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
        for file in sent
    }
    assert len(uids) == 28
    assert {record["sopInstanceUid"] for record in records(manifest)} == uids
    assert manifest["omissions"] == []


def test_every_frame_has_the_checksum_of_healthimaging(manifest, metadata):
    recorded = {
        frame.id: frame.crc32
        for instance in metadata.instances
        for frame in instance.frames
    }
    assert {r["frameId"]: r["crc32"] for r in records(manifest)} == recorded


def test_pixels_are_those_of_the_sent_files(manifest, training_run, read_s3, sent):
    by_uid = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, sent)}
    seen = 0
    for entry in manifest["imageSets"]:
        for array in entry["arrays"]:
            uri = f"{training_run['status']['datasetS3Uri']}/{array['path']}"
            pixels = np.load(io.BytesIO(read_s3(uri)))
            assert list(pixels.shape) == array["shape"]
            for plane, record in zip(pixels, array["frames"], strict=True):
                expected = by_uid[record["sopInstanceUid"]].pixel_array
                assert plane.dtype == expected.dtype
                np.testing.assert_array_equal(plane, expected)
                seen += 1
    assert seen == 28


def test_the_batch_kept_the_bytes_that_were_sent(aws, get, training_run, sent):
    newest = max(
        (j for j in get("dicomimportjobs")["items"] if j["spec"].get("manifestKey")),
        key=lambda job: job["metadata"]["creationTimestamp"],
    )
    s3 = aws("s3")
    batch = json.loads(
        s3.get_object(Bucket="isocenter-data", Key=newest["spec"]["manifestKey"])[
            "Body"
        ].read()
    )
    by_uid = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, sent)}
    assert {i["sopInstanceUid"] for i in batch["instances"]} == set(by_uid)
    for instance in batch["instances"]:
        body = s3.get_object(Bucket="isocenter-data", Key=instance["key"])["Body"]
        stored = pydicom.dcmread(io.BytesIO(body.read()))
        original = by_uid[instance["sopInstanceUid"]]
        assert stored == original, "every element, with its value"
        assert instance["callingAE"] == "CT1"


def test_the_model_is_there_and_denoises(training_run, read_s3, tmp_path):
    archive = io.BytesIO(read_s3(training_run["status"]["modelS3Uri"]))
    with tarfile.open(fileobj=archive) as packed:
        unpack(packed, tmp_path)
    model = load(tmp_path)
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64)).astype(np.float32)
    assert model.denoise(noisy).std() < noisy.std()
    metrics = {m["name"]: float(m["value"]) for m in training_run["status"]["metrics"]}
    assert metrics["validation:psnr_gain_db"] > 0


def test_status_tells_the_steps_and_the_end(training_run):
    status = training_run["status"]
    assert [(s["name"], s["status"]) for s in status["steps"]] == [
        ("FetchImageData", "Succeeded"),
        ("TrainModel", "Succeeded"),
    ]
    assert status["progress"] == "2/2"
    assert status["observedGeneration"] == training_run["metadata"]["generation"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Succeeded"] == "True"


def test_the_proxy_serves_the_same_frames(proxy, manifest, aws):
    (entry,) = manifest["imageSets"]
    imaging = HealthImaging(aws("medical-imaging"))
    place = f"datastore/{manifest['datastoreId']}/imageSet/{entry['imageSetId']}"
    for record in records(manifest)[:3]:
        frame = imaging.frame_bytes(
            manifest["datastoreId"], entry["imageSetId"], record["frameId"]
        )
        url = f"{proxy}/{place}/imageFrame/{record['frameId']}"
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == frame
            assert answer.headers["Content-Type"] == "image/jph"
        levels = scan_levels(frame)
        request = urllib.request.Request(
            f"{proxy}/{place}/getImageFrame?startLevel=0&endLevel=2",
            data=json.dumps({"imageFrameId": record["frameId"]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == frame[: levels.ends[2]]


def test_the_fetcher_service_makes_the_same_dataset(manifest, aws, wait_for, read_s3):
    (entry,) = manifest["imageSets"]
    order = {
        "datastoreId": manifest["datastoreId"],
        "imageSets": [{"id": entry["imageSetId"], "versionId": entry["versionId"]}],
        "outputS3Uri": "s3://isocenter-data/runs/isocenter/on-demand/dataset",
    }
    with port_forward(NAMESPACE, "isocenter-fetcher", 80) as port:
        base = f"http://localhost:{port}/v1/datasets"
        request = urllib.request.Request(
            base,
            data=json.dumps(order).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202
            job = json.loads(answer.read())

        def ended():
            with urllib.request.urlopen(f"{base}/{job['id']}") as answer:
                record = json.loads(answer.read())
            return record if record["status"] in {"Succeeded", "Failed"} else None

        record = wait_for(ended, seconds=90)
    assert record["status"] == "Succeeded", record
    made = json.loads(read_s3(order["outputS3Uri"] + "/manifest.json"))
    assert made["digest"] == manifest["digest"]
