import json

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.devcloud.healthimaging.instances import InvalidInstanceError, convert


@pytest.fixture
def converted(tmp_path):
    def run(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return convert(path, tmp_path / "out", "HTJ2K")

    return run


@pytest.fixture
def instance_json(tmp_path):
    def read():
        return json.loads((tmp_path / "out" / "instance.json").read_text())

    return read


def test_an_instance_goes_to_disk(
    dataset, p10, noise, converted, instance_json, tmp_path
):
    ds = dataset(noise((2, 8, 8), "uint16"))
    result = converted(p10(ds))
    instance = instance_json()
    assert result.sop_instance_uid == ds.SOPInstanceUID
    assert result.warnings == ()
    assert list(instance) == [
        "DICOM",
        "DICOMVRs",
        "StoredTransferSyntaxUID",
        "ChecksumType",
        "ImageFrames",
    ]
    assert instance["DICOM"]["SOPInstanceUID"] == ds.SOPInstanceUID
    files = sorted((tmp_path / "out" / "frames").glob("*/*"))
    assert {file.parent.name for file in files} == {"1.2.840.10008.1.2.4.202"}
    assert sorted(file.name for file in files) == sorted(
        entry["ID"] for entry in instance["ImageFrames"]
    )
    assert all(len(file.name) == 32 and file.name.isalnum() for file in files)


def test_an_instance_without_pixels(dataset, p10, converted, instance_json):
    converted(p10(dataset()))
    assert instance_json()["ImageFrames"] == []
    assert "StoredTransferSyntaxUID" not in instance_json()


def test_frames_before_a_broken_one_are_not_left(
    dataset, p10, noise, converted, tmp_path
):
    ds = dataset(noise((8, 8), "uint16"), BitsAllocated=32, BitsStored=32, Rows=4)
    result = converted(p10(ds))
    assert [each.reason.name for each in result.warnings] == ["TRANSCODING_EXCEPTION"]
    (frame,) = (tmp_path / "out" / "frames").glob("*/*")
    assert frame.parent.name == ExplicitVRLittleEndian
    assert frame.read_bytes() == ds.PixelData


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a DICOM P10 file"),
        (b"hello, world", "not a DICOM P10 file"),
        (b"\0" * 128 + b"DICM", "TransferSyntaxUID does not exist"),
    ],
)
def test_what_is_no_p10_file_fails(converted, content, text):
    with pytest.raises(InvalidInstanceError, match=text):
        converted(content)


@pytest.mark.parametrize(
    "keyword",
    ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
)
@pytest.mark.parametrize("value", [..., ""])
def test_a_missing_uid_fails_by_name(dataset, p10, converted, keyword, value):
    with pytest.raises(
        InvalidInstanceError, match=f"attribute {keyword} does not exist"
    ):
        converted(p10(dataset(**{keyword: value})))


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("PatientID", "x" * 257, "PatientID is longer than 256"),
        ("StudyID", "x" * 17, "StudyID is longer than 16"),
        ("SeriesInstanceUID", "1.2.abc/../5", "SeriesInstanceUID has characters"),
        ("StudyInstanceUID", "1.2.x", "StudyInstanceUID has characters"),
    ],
)
def test_a_bad_value_fails_by_name_and_is_not_shown(
    dataset, p10, converted, keyword, value, text
):
    with pytest.raises(InvalidInstanceError, match=text) as caught:
        converted(p10(dataset(**{keyword: value})))
    assert value not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("uid", ["1.02.3", "1" * 70, "1.2..3"])
def test_an_unusual_uid_is_warned_of(dataset, p10, converted, uid):
    result = converted(p10(dataset(StudyInstanceUID=uid)))
    (warning,) = result.warnings
    assert warning.to_dict() == {
        "warning_reason_code": 45570,
        "type": "InvalidUID",
        "message": "StudyInstanceUID is not a valid UID",
    }


def test_a_truncated_file_fails_or_is_warned_of(dataset, p10, noise, converted):
    whole = p10(dataset(noise((64, 64), "uint16")))
    result = converted(whole[:-1000])
    assert [each.reason.value[0] for each in result.warnings] == [45328]
