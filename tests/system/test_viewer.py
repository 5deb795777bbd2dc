"""The viewer in the cluster: its pages, and the study by one origin."""

import json
import re
import urllib.error
import urllib.request

import pydicom
import pytest
from demo.place import NAMESPACE
from demo.port_forward import port_forward

from isocenter.core.healthimaging.client import HealthImaging

REGION = "us-east-1"


@pytest.fixture(scope="module")
def origin():
    with port_forward(NAMESPACE, "isocenter-viewer", 80) as port:
        yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def root(origin, manifest):
    return f"{origin}/dicomweb/{REGION}/{manifest['datastoreId']}"


@pytest.fixture(scope="module")
def first(sent):
    return pydicom.dcmread(sent[0], stop_before_pixels=True)


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read(), answer.headers


def test_pages_come_with_their_policy(origin):
    for path in ("/", "/viewer", "/settings"):
        page, headers = fetch(f"{origin}{path}")
        assert b"app-config.js" in page
        assert "default-src 'self'" in headers["Content-Security-Policy"]
    script = re.search(rb'src="(/[^"]+\.js)"', page)[1].decode()
    assert fetch(f"{origin}{script}")[1]["Content-Type"].startswith("text/javascript")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{origin}/absent.js")


def test_the_chart_names_the_data_store(origin, manifest):
    platform = json.loads(fetch(f"{origin}/platform.json")[0])
    (store,) = platform["stores"]
    assert store["datastoreId"] == manifest["datastoreId"]
    assert store["region"] == REGION


def test_the_study_is_listed(root, first, sent):
    query = f"limit=101&offset=0&00100020={first.PatientID}"
    studies = json.loads(fetch(f"{root}/studies?{query}")[0])
    found = [study["0020000D"]["Value"][0] for study in studies]
    assert found == [str(first.StudyInstanceUID)]
    series = f"{root}/studies/{first.StudyInstanceUID}/series"
    (one,) = json.loads(fetch(series)[0])
    assert one["0020000E"]["Value"] == [str(first.SeriesInstanceUID)]
    instances = {
        str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
        for file in sent
    }
    for listing in ("metadata", "instances?limit=100"):
        answer = fetch(f"{series}/{first.SeriesInstanceUID}/{listing}")[0]
        uids = [instance["00080018"]["Value"][0] for instance in json.loads(answer)]
        assert len(uids) == len(instances)
        assert set(uids) == instances


def test_a_frame_is_healthimagings(root, first, manifest, aws):
    (entry,) = manifest["imageSets"]
    record = next(
        record
        for array in entry["arrays"]
        for record in array["frames"]
        if record["sopInstanceUid"] == str(first.SOPInstanceUID)
    )
    frame = HealthImaging(aws("medical-imaging")).frame_bytes(
        manifest["datastoreId"], entry["imageSetId"], record["frameId"]
    )
    instance = (
        f"{root}/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
        f"/instances/{first.SOPInstanceUID}"
    )
    whole, headers = fetch(f"{instance}/frames/1")
    assert headers["Content-Type"].startswith("multipart/related")
    assert int(headers["Content-Length"]) == len(whole)
    assert frame in whole
    reduced, _ = fetch(f"{instance}/frames/1?reduce=2")
    assert len(reduced) < len(whole) / 4
    picture, headers = fetch(f"{instance}/thumbnail")
    assert headers["Content-Type"] == "image/jpeg"
    assert picture.startswith(b"\xff\xd8")


def test_the_runs_of_the_study_are_named(origin, first, manifest, training_run):
    url = (
        f"{origin}/usage/{REGION}/{manifest['datastoreId']}"
        f"/studies/{first.StudyInstanceUID}"
    )
    runs = json.loads(fetch(url)[0])["runs"]
    names = {run["name"] for run in runs}
    assert training_run["metadata"]["name"] in names
