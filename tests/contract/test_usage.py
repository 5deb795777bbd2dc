"""Which runs used a study: a real proxy, S3 and HealthImaging over HTTP."""

import httpx
import pytest

from isocenter.tlm_proxy.usage.objects import RunObjects


@pytest.fixture(scope="module")
def run_folder(s3, bucket, ct_study):
    """What the pipeline leaves of a run; its arrays are in the dataset's folder."""
    folder = "usage-test/imaging/nightly/attempt-1/0abc"
    manifest = {
        "schema": 1,
        "datastoreId": ct_study.datastore_id,
        "imageSets": [
            {"imageSetId": ct_study.image_set_id, "arrays": [{"path": "a/1.npy"}]}
        ],
    }
    bodies = {
        "dataset/manifest.json": httpx.Response(200, json=manifest).content,
        **{f"dataset/a/{n}.npy": b"" for n in range(5)},
        "model/job/output/model.tar.gz": b"",
    }
    for name, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=body)
    request = "usage-test/imaging/nightly/attempt-1/request.json"
    s3.put_object(Bucket=bucket, Key=request, Body=b"{}")
    return f"s3://{bucket}/{folder}"


def test_a_listing_has_no_arrays(run_folder, bucket):
    objects = RunObjects.connect(f"s3://{bucket}/usage-test")
    run = "imaging/nightly/attempt-1/0abc"
    assert sorted(objects.names()) == [
        f"{run}/dataset/",
        f"{run}/model/job/output/model.tar.gz",
        "imaging/nightly/attempt-1/request.json",
    ]
    assert objects.find(f"{run}/dataset/none.json", len) is None


def test_the_run_of_a_study(serving, ports, bucket, run_folder, ct_study, imaging):
    port, health = ports(2)
    base = f"http://127.0.0.1:{port}"
    with serving(
        "isocenter-tlm-proxy",
        ready=f"{base}/readyz",
        TLM_PROXY_PORT=str(port),
        TLM_PROXY_HEALTH_PORT=str(health),
        TLM_PROXY_AUTH_MODE="none",
        TLM_PROXY_RUNS_S3_URI=f"s3://{bucket}/usage-test/",
    ):
        found = imaging.search_image_sets(datastoreId=ct_study.datastore_id)
        (summary,) = found["imageSetsMetadataSummaries"]
        study = summary["DICOMTags"]["DICOMStudyInstanceUID"]
        store = f"{base}/usage/eu-west-1/{ct_study.datastore_id}"
        answer = httpx.get(f"{store}/studies/{study}")
        assert answer.status_code == 200, answer.text
        (run,) = answer.json()["runs"]
        assert run["name"] == "nightly"
        assert run["imageSets"] == [ct_study.image_set_id]
        assert run["datasetS3Uri"] == f"{run_folder}/dataset/"
        assert run["modelS3Uri"] == f"{run_folder}/model/job/output/model.tar.gz"
        unknown = httpx.get(f"{store}/studies/1.2.3")
        assert unknown.status_code == 404
        assert unknown.headers["content-type"] == "application/problem+json"
