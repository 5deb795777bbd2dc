import json

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.devcloud.healthimaging.attribute_levels import level_of
from isocenter.devcloud.healthimaging.metadata import describe, document


@pytest.mark.parametrize(
    ("keyword", "level"),
    [
        ("PatientID", "Patient"),
        ("PatientIdentityRemoved", "Patient"),
        ("DeidentificationMethod", "Patient"),
        ("StudyDate", "Study"),
        ("ReferringPhysicianName", "Study"),
        ("PatientAge", "Study"),
        ("Manufacturer", "Series"),
        ("FrameOfReferenceUID", "Series"),
        ("SoftwareVersions", "Series"),
        ("PatientPosition", "Series"),
        ("Rows", "Instance"),
        ("AcquisitionDate", "Instance"),
        ("00191001", "Instance"),
    ],
)
def test_levels_follow_the_modules(keyword, level):
    assert level_of(keyword) == level


@pytest.mark.parametrize(
    ("keyword", "value", "shown"),
    [
        ("RescaleSlope", "1", "1 "),
        ("InstanceNumber", "11", "11"),
        ("SeriesNumber", "7", "7 "),
        ("PixelSpacing", ["0.25", "0.25"], ["0.25", "0.25 "]),
        ("WindowCenter", "40", ["40"]),
        ("ImageType", ["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY"]),
        ("ManufacturerModelName", "i-CAT", "i-CAT"),
        ("PatientName", "NAME^NON", "NAME^NON"),
        ("AcquisitionNumber", None, None),
        ("PatientBirthDate", "", None),
        ("Rows", 640, 640),
        ("SmallestImagePixelValue", -1, -1),
        ("B1rms", 1.5, 1.5),
        ("DiffusionGradientOrientation", [0.0, 1.0, 0.5], [0.0, 1.0, 0.5]),
        ("FrameIncrementPointer", 0x00181063, ["00181063"]),
        ("ICCProfile", b"\0\1", "AAE="),
        ("TextValue", "a\\b", "a\\b"),
    ],
)
def test_values(dataset, reread, keyword, value, shown):
    more = {"PixelRepresentation": 1} if keyword.startswith("Smallest") else {}
    metadata = describe(reread(dataset(**more, **{keyword: value})))
    assert metadata.levels[level_of(keyword)][keyword] == shown
    assert metadata.discarded == []


def test_file_meta_stands_with_the_instance(dataset, reread):
    instance = describe(reread(dataset())).levels["Instance"]
    assert instance["FileMetaInformationVersion"] == "AAE="
    assert instance["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert isinstance(instance["FileMetaInformationGroupLength"], int)


def test_pixels_are_not_metadata(dataset, reread, noise):
    instance = describe(reread(dataset(noise((4, 4), "uint16")))).levels["Instance"]
    assert instance["Columns"] == 4
    assert "PixelData" not in instance


def test_private_tags_go_by_digits_with_their_vr(dataset, reread):
    ds = dataset()
    block = ds.private_block(0x0019, "MAKER", create=True)
    block.add_new(0x10, "DS", "1.5")
    block.add_new(0xF9, "UN", b"\1")
    metadata = describe(reread(ds))
    instance = metadata.levels["Instance"]
    assert instance["00190010"] == "MAKER"
    assert instance["00191010"] == "1.5 "
    assert instance["001910F9"] == "AQ=="
    assert metadata.vrs == {"00190010": "LO", "00191010": "DS", "001910F9": "UN"}


def test_sequences_are_lists_of_objects(dataset, reread):
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "1", "one"
    ds = dataset(ProcedureCodeSequence=Sequence([code]), SourceImageSequence=[])
    levels = describe(reread(ds)).levels
    assert levels["Study"]["ProcedureCodeSequence"] == [
        {"CodeValue": "1", "CodeMeaning": "one"}
    ]
    assert levels["Instance"]["SourceImageSequence"] is None


def test_text_is_decoded_from_its_character_set(dataset, reread):
    ds = dataset(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    assert describe(reread(ds)).levels["Patient"]["PatientName"] == "山田^太郎"


def test_a_value_that_cannot_be_read_is_named_not_shown(dataset, reread):
    ds = reread(dataset(Rows=4))
    raw = ds.get_item("Rows")
    ds._dict[raw.tag] = raw._replace(value=b"\1\2\3", length=3)
    metadata = describe(ds)
    assert metadata.discarded == ["00280010"]
    assert "Rows" not in metadata.levels["Instance"]


def test_big_private_values_are_left_out(dataset, reread):
    ds = dataset()
    block = ds.private_block(0x0019, "MAKER", create=True)
    block.add_new(0x10, "OB", b"\0" * ((1 << 20) + 2))
    assert "00191010" not in describe(reread(ds)).levels["Instance"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_document_is_json_in_the_service_layout(count):
    levels = {
        "Patient": {"PatientID": "P1"},
        "Study": {"StudyID": None, "AccessionNumber": "A"},
        "Series": {"Modality": "CT"},
    }
    instances = [(f"1.{n}", json.dumps({"ImageFrames": [n]})) for n in range(count)]
    text = "".join(document("d" * 32, "i" * 32, levels, "1.2.4", instances))
    assert json.loads(text) == {
        "SchemaVersion": "1.1",
        "DatastoreID": "d" * 32,
        "ImageSetID": "i" * 32,
        "Patient": {"DICOM": {"PatientID": "P1"}},
        "Study": {
            "DICOM": {"AccessionNumber": "A", "StudyID": None},
            "Series": {
                "1.2.4": {
                    "DICOM": {"Modality": "CT"},
                    "Instances": {f"1.{n}": {"ImageFrames": [n]} for n in range(count)},
                }
            },
        },
    }
