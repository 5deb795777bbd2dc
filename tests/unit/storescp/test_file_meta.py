import io

import pydicom
import pytest

from isocenter.core.errors import MalformedError
from isocenter.storescp.file_meta import (
    HEADER_START,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    data_set_offset,
    part10_header,
)
from isocenter.storescp.identify import is_uid


@pytest.mark.parametrize("source_ae", ["SCU", "SIXTEEN_LETTERS_", ""])
def test_pydicom_reads_what_we_write(source_ae):
    header = part10_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.34",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae=source_ae,
    )
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert header[:128] == bytes(128)
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert meta.MediaStorageSOPInstanceUID == "1.2.34"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.get("SourceApplicationEntityTitle", "") == source_ae
    assert data_set_offset(header) == len(header)


def test_our_identity_is_well_formed():
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize(
    "start", [b"", bytes(200), bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(12)]
)
def test_what_is_no_part_10_file(start):
    with pytest.raises(MalformedError):
        data_set_offset(start)


def test_header_start_is_enough():
    header = part10_header(
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        transfer_syntax_uid="1.4",
        source_ae="A",
    )
    assert data_set_offset(header[:HEADER_START]) == len(header)
