"""The DICOMweb facade of ``isocenter-tlm-proxy`` over HealthImaging's DICOMweb."""

import copy
import io
from dataclasses import dataclass

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from isocenter.core.codestream import scan_levels
from isocenter.core.healthimaging.client import HealthImaging

JSON = {"Accept": "application/dicom+json"}
FRAME = {
    "Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"
}
DATE = "20240102"
HTJ2K = "1.2.840.10008.1.2.4.202"


@dataclass(frozen=True)
class Facade:
    """The facade at one data store."""

    root: str

    def get(self, path, headers=None, **query):
        return httpx.get(self.root + path, params=query, headers=headers, timeout=30)

    def rows(self, path, **query):
        answer = self.get(path, JSON, **query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/dicom+json"
        return answer.json()


@dataclass(frozen=True)
class Conflict:
    """An instance whose Patient ID isn't its series', in an image set of its own."""

    image_set_id: str
    dataset: pydicom.Dataset


def body(dataset):
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def slices(ct_files):
    """The CT's data sets by Instance Number; with the date it was robbed of."""
    found = [pydicom.dcmread(file) for file in ct_files]
    for each in found:
        each.StudyDate = DATE
    return sorted(found, key=lambda each: int(each.InstanceNumber))


@pytest.fixture(scope="module")
def datastore(make_datastore, import_files, slices, data):
    """The CT study, an MR slice, a colour picture and a name in Chinese."""
    found = make_datastore("dicomweb")
    bodies = [body(each) for each in slices]
    bodies += [
        (data / "small" / name).read_bytes()
        for name in ("mr_jpeg_lossless.dcm", "rgb_j2k.dcm", "utf8_name.dcm")
    ]
    import_files(found, "DICOM/dicomweb/", bodies)
    return found


@pytest.fixture(scope="module")
def conflict(datastore, import_files, slices):
    dataset = copy.deepcopy(slices[0])
    dataset.PatientID = "SOMEBODY-ELSE"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    (image_set,) = import_files(datastore, "DICOM/conflict/", [body(dataset)])
    return Conflict(image_set, dataset)


@pytest.fixture(scope="module")
def facade(serving, ports, aws, datastore):
    port, health = ports(2)
    base = f"http://127.0.0.1:{port}"
    with serving(
        "isocenter-tlm-proxy",
        ready=f"{base}/readyz",
        TLM_PROXY_PORT=str(port),
        TLM_PROXY_HEALTH_PORT=str(health),
        TLM_PROXY_AUTH_MODE="none",
    ):
        yield Facade(f"{base}/dicomweb/{aws['AWS_REGION']}/{datastore}")


@pytest.fixture(scope="module")
def ct(slices):
    """The path of the CT's series."""
    first = slices[0]
    return f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"


def value(row, tag):
    return (row.get(tag, {}).get("Value") or [None])[0]


def part(answer):
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    head, _, rest = answer.content.partition(b"\r\n\r\n")
    assert head.startswith(b"--" + boundary)
    assert rest.endswith(b"\r\n--" + boundary + b"--\r\n")
    return rest[: -len(boundary) - 8]


def test_the_study_list_has_what_ohif_reads(facade, slices):
    found = facade.rows(
        "/studies",
        limit=101,
        offset=0,
        fuzzymatching="false",
        includefield="00081030,00080060,00080090,00100030",
    )
    by_uid = {value(row, "0020000D"): row for row in found}
    assert len(by_uid) == len(found) == 4
    row = by_uid[slices[0].StudyInstanceUID]
    assert value(row, "00100020") == slices[0].PatientID
    assert value(row, "00080020") == DATE
    assert row["00080061"]["Value"] == ["CT"]
    assert value(row, "00201206") == 1
    assert value(row, "00201208") == len(slices)


def test_paging(facade):
    whole = [value(row, "0020000D") for row in facade.rows("/studies")]
    pages = [
        value(row, "0020000D")
        for offset in (0, 2, 4)
        for row in facade.rows("/studies", limit=2, offset=offset)
    ]
    assert pages == whole


def test_filters(facade, slices, data):
    named = pydicom.dcmread(data / "small" / "utf8_name.dcm")
    patient = slices[0].PatientID
    mine = {each.StudyInstanceUID for each in slices}

    def studies(**query):
        return {value(row, "0020000D") for row in facade.rows("/studies", **query)}

    assert studies(**{"00100020": patient}) == mine
    assert studies(**{"00100020": "nobody"}) == set()
    assert studies(StudyInstanceUID=slices[0].StudyInstanceUID) == mine
    assert studies(StudyDate=f"{DATE}-{DATE}") == mine
    assert mine <= studies(StudyDate=f"{DATE}-", ModalitiesInStudy="CT")
    assert mine.isdisjoint(studies(ModalitiesInStudy="MR"))
    family = str(named.PatientName).partition("^")[0]
    assert named.StudyInstanceUID in studies(PatientName=f"*{family.lower()}*")
    assert mine.isdisjoint(studies(PatientName=f"*{family}*"))


def test_series_and_instances(facade, ct, slices):
    study, _, uid = ct.partition("/series/")
    (series,) = facade.rows(f"{study}/series", includefield="00080021,0008103E")
    assert value(series, "0020000E") == uid
    assert value(series, "00080060") == "CT"
    assert value(series, "00201209") == len(slices)
    (instance,) = facade.rows(f"{ct}/instances", limit=1)
    assert value(instance, "00080018") in {each.SOPInstanceUID for each in slices}


def test_metadata(facade, ct, slices):
    found = {value(row, "00080018"): row for row in facade.rows(f"{ct}/metadata")}
    assert len(found) == len(slices)
    for dataset in slices:
        row = found[dataset.SOPInstanceUID]
        assert "7FE00010" not in row
        assert value(row, "00280010") == dataset.Rows
        assert row["00200032"]["Value"] == [float(x) for x in dataset[0x00200032].value]
        assert value(row, "00083002") == HTJ2K


def test_every_frame_is_get_image_frames(facade, ct, slices, datastore, imaging):
    criteria = {
        "filters": [
            {
                "operator": "EQUAL",
                "values": [{"DICOMStudyInstanceUID": slices[0].StudyInstanceUID}],
            }
        ]
    }
    found = imaging.search_image_sets(datastoreId=datastore, searchCriteria=criteria)
    (image_set,) = [
        each["imageSetId"]
        for each in found["imageSetsMetadataSummaries"]
        if each.get("isPrimary", True)
    ]
    source = HealthImaging.connect()
    document = source.metadata(datastore, image_set, "1")
    (series,) = document["Study"]["Series"].values()
    for dataset in slices[::9]:
        sop = dataset.SOPInstanceUID
        (entry,) = series["Instances"][sop]["ImageFrames"]
        stored = source.frame_bytes(datastore, image_set, entry["ID"])
        answer = facade.get(f"{ct}/instances/{sop}/frames/1", FRAME)
        assert part(answer) == stored
        assert f"transfer-syntax={HTJ2K};" in answer.headers["content-type"]
        assert int(answer.headers["content-length"]) == len(answer.content)
        reduced = facade.get(f"{ct}/instances/{sop}/frames/1", FRAME, reduce=2)
        assert part(reduced) == stored[: scan_levels(stored).ends[-3]]


def test_a_thumbnail_is_the_middle_slice_in_its_window(facade, ct, slices):
    answer = facade.get(f"{ct}/thumbnail", {"Accept": "image/jpeg"}, viewport="256,256")
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as image:
        found = np.asarray(image).astype(float)
    middle = slices[len(slices) // 2]
    window = apply_voi_lut(apply_modality_lut(middle.pixel_array, middle), middle)
    low, high = window.min(), window.max()
    expected = (window - low) / (high - low) * 255
    assert found.shape == (256, 256)
    # Reduced before it is windowed: edges differ, means don't.
    assert abs(found.mean() - expected.mean()) < 3
    blocks = expected.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    assert np.abs(found - blocks).mean() < 6


def test_thumbnails_of_an_mr_slice_and_of_colours(facade, data):
    for name in ("mr_jpeg_lossless.dcm", "rgb_j2k.dcm"):
        dataset = pydicom.dcmread(data / "small" / name)
        path = (
            f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
            f"/instances/{dataset.SOPInstanceUID}"
        )
        answer = facade.get(f"{path}/thumbnail", viewport="128,128")
        assert answer.status_code == 200, answer.text
        with Image.open(io.BytesIO(answer.content)) as image:
            colours = np.asarray(image).astype(float)
        if dataset.SamplesPerPixel == 1:
            assert colours.std() > 10
        else:
            ours, theirs = colours.mean(axis=(0, 1)), dataset.pixel_array
            assert np.abs(ours - theirs.mean(axis=(0, 1))).max() < 4


def test_a_conflicting_instance_is_there_when_asked_for(
    facade, ct, conflict, slices, wait_for
):
    study = ct.partition("/series/")[0]
    sop = conflict.dataset.SOPInstanceUID
    plain = facade.rows(f"{ct}/metadata")
    assert {value(row, "00080018") for row in plain} == {
        each.SOPInstanceUID for each in slices
    }

    def both():
        rows = facade.rows(f"{ct}/metadata", includeNonPrimary="true")
        found = {value(row, "00080018") for row in rows}
        return found if sop in found else None

    # A study's image sets are listed every 3 s at most.
    assert wait_for(both, seconds=10) == {
        sop,
        *(each.SOPInstanceUID for each in slices),
    }
    scope = f"/imageset/{conflict.image_set_id}"
    (row,) = facade.rows(f"{scope}/studies", limit=101)
    assert value(row, "00100020") == "SOMEBODY-ELSE"
    assert value(row, "00201208") == 1
    (series,) = facade.rows(f"{scope}{study}/series")
    assert value(series, "00201209") == 1
    (only,) = facade.rows(f"{scope}{ct}/metadata")
    assert value(only, "00080018") == sop
    frame = facade.get(f"{scope}{ct}/instances/{sop}/frames/1", FRAME)
    assert part(frame)
    other = slices[0].SOPInstanceUID
    missing = facade.get(f"{scope}{ct}/instances/{other}/frames/1", FRAME)
    assert missing.status_code == 404


def test_what_is_not_there(facade, ct):
    frame = facade.get(f"{ct}/instances/1.2.3/frames/1", FRAME)
    assert frame.status_code == 404
    assert frame.headers["content-type"] == "application/problem+json"
    metadata = facade.get("/studies/1.2.3/series/1.2.4/metadata", JSON)
    assert metadata.status_code == 404
    assert facade.rows("/studies/1.2.3/series") == []
    elsewhere = httpx.get(facade.root.replace("eu-west-1", "us-east-1") + "/studies")
    assert elsewhere.status_code == 404
