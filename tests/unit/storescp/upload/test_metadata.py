"""DICOM JSON beside an instance: never at an instance's, or a patient's, cost."""

import json
import logging

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct

from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.upload.metadata import metadata_json

DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture(autouse=True)
def _as_in_the_process(monkeypatch):
    settings = pydicom.config.settings
    for name in ("_reading_validation_mode", "_writing_validation_mode"):
        monkeypatch.setattr(settings, name, pydicom.config.IGNORE)


@pytest.fixture
def made(tmp_path):
    """The metadata of a data set."""

    def make(dataset=None):
        dataset = dataset or ct()
        header = part10_header(
            sop_class_uid=dataset.SOPClassUID,
            sop_instance_uid=dataset.SOPInstanceUID,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        path = tmp_path / "an instance"
        path.write_bytes(header + encode(dataset, False, True))
        document = metadata_json(
            path,
            sop_instance_uid=dataset.SOPInstanceUID,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        return None if document is None else json.loads(document)

    return make


def test_it_has_the_attributes_and_no_bulk(made):
    members = made(ct(rows=64))
    assert members["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert "7FE00010" not in members


def test_no_value_is_logged_and_no_switch_changed(made, caplog, monkeypatch, recwarn):
    dataset = ct()
    dataset.PatientBirthDate = "Doe, 1. Mai"
    dataset.PatientWeight = None
    dataset["PatientWeight"]._value = "Doe kg"
    modes = set()
    to_json = pydicom.DataElement.to_json_dict

    def watched(self, *args, **kwargs):
        modes.add(pydicom.config.settings.reading_validation_mode)
        return to_json(self, *args, **kwargs)

    monkeypatch.setattr(pydicom.DataElement, "to_json_dict", watched)
    with caplog.at_level(logging.DEBUG, logger="isocenter"):
        assert "00080060" in made(dataset)
    said = [r.getMessage() + str(r.__dict__) for r in caplog.records]
    assert not [text for text in said if "Doe" in text]
    assert modes == {pydicom.config.IGNORE}
    assert not recwarn.list


@pytest.mark.parametrize("error", [RecursionError(), KeyError("x"), EOFError()])
def test_an_instance_never_waits_for_its_metadata(made, monkeypatch, error):
    def broken(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(pydicom, "dcmread", broken)
    assert made() is None


def test_nothing_is_inflated(tmp_path):
    path = tmp_path / "not even read"
    made = metadata_json(path, sop_instance_uid="1.2", transfer_syntax_uid=DEFLATED)
    assert made is None
