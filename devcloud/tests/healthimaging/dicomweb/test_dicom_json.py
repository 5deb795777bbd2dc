import io
import json
import math

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from isocenter.devcloud.healthimaging.dicomweb.dicom_json import (
    absolute,
    bulk_value,
    to_dicom_json,
)
from isocenter.devcloud.healthimaging.dicomweb.fields import project
from isocenter.devcloud.healthimaging.dicomweb.query import parse_query


@pytest.fixture
def rich(dataset):
    """A data set with every kind of value that Annex F has a rule for."""
    ds = dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"])
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.PatientComments = ""
    ds.ImageType = ["ORIGINAL", "", "AXIAL"]
    ds.WindowCenter = ["40", "80.5"]
    ds.FrameIncrementPointer = 0x00181063
    ds.add_new(0x00720074, "FD", [1.5, math.nan, math.inf])
    ds.add_new(0x00720076, "FL", 0.25)
    ds.add_new(0x00091001, "OB", b"\1\2\3\4")
    ds.add_new(0x00090010, "LO", "SOMEBODY")
    ds.ReferencedStudySequence = Sequence([])
    item = Dataset()
    item.CodeValue = "T-1"
    item.IssuerOfPatientID = "X"
    ds.ReferringPhysicianIdentificationSequence = Sequence([item, Dataset()])
    return ds


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian],
)
def test_every_kind_of_value(rich, reread, annex_f, transfer_syntax_uid):
    if transfer_syntax_uid:
        rich.file_meta.TransferSyntaxUID = transfer_syntax_uid
    found = to_dicom_json(reread(rich))
    annex_f(json.loads(json.dumps(found, allow_nan=False)))
    assert found["00100010"]["Value"] == [
        {
            "Alphabetic": "Yamada^Tarou",
            "Ideographic": "山田^太郎",
            "Phonetic": "やまだ^たろう",
        }
    ]
    assert found["00104000"] == {"vr": "LT"}
    assert found["00080008"]["Value"] == ["ORIGINAL", None, "AXIAL"]
    assert found["00281050"] == {"vr": "DS", "Value": [40.0, 80.5]}
    assert found["00280009"] == {"vr": "AT", "Value": ["00181063"]}
    assert found["00720074"]["Value"] == [1.5, "nan", "inf"]
    assert found["00081110"] == {"vr": "SQ"}
    assert found["00080096"]["Value"] == [
        {
            "00080100": {"vr": "SH", "Value": ["T-1"]},
            "00100021": {"vr": "LO", "Value": ["X"]},
        },
        {},
    ]


def test_a_number_that_is_none_stays_as_text(dataset, p10):
    content = p10(dataset(SeriesNumber="3", PatientWeight="70.5"))
    content = content.replace(b"70.5", b"7O.5")
    ds = pydicom.dcmread(io.BytesIO(content))
    assert to_dicom_json(ds)["00101030"] == {"vr": "DS", "Value": ["7O.5"]}


def test_bulk_data_is_found_inside_of_sequences():
    item = Dataset()
    value = b"\7" * ((1 << 20) + 2)
    item.add_new(0x00091002, "OB", value)
    ds = Dataset()
    ds.add_new(0x00091001, "OB", b"\1" * (1 << 20))
    ds.ReferencedStudySequence = Sequence([Dataset(), item])
    found = to_dicom_json(ds)
    assert "InlineBinary" in found["00091001"]
    uri = found["00081110"]["Value"][1]["00091002"]["BulkDataURI"]
    assert bulk_value(ds, uri.removeprefix("bulkdata/")) == value
    assert bulk_value(ds, "0" * 32) is None
    text = absolute(json.dumps(found), "http://host/instances/1")
    assert f'"http://host/instances/1/{uri}"' in text


def test_a_value_that_looks_like_a_url_is_left_alone():
    ds = Dataset()
    ds.PatientComments = '"BulkDataURI": "bulkdata/x'
    text = json.dumps(to_dicom_json(ds))
    assert absolute(text, "http://host") == text


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["00080096.00080100"], [{"00080100"}, set()]),
        (["00080096.00080100", "00080096.00100021"], [{"00080100", "00100021"}, set()]),
        (["00080096.00102000"], None),
        (["00100010.00080100"], None),
    ],
)
def test_fields_inside_of_sequences(rich, reread, asked, expected):
    instance = to_dicom_json(reread(rich))
    query = parse_query(
        "SearchDICOMStudies", [("includefield", each) for each in asked]
    )
    row = project(query, "study", (), {}, instance)
    if expected is None:
        assert row == {}
    else:
        assert [set(item) for item in row["00080096"]["Value"]] == expected
