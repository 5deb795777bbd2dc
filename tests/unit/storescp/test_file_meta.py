import io

import pydicom
import pytest

from isocenter.core.errors import MalformedError
from isocenter.storescp.file_meta import (
    HEADER_START,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    FileMeta,
    data_set_offset,
    part10_header,
    read_header,
)
from isocenter.storescp.identify import is_uid


def test_pydicom_reads_what_we_write():
    header = part10_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.34",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert header[:128] == bytes(128)
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert meta.MediaStorageSOPInstanceUID == "1.2.34"
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert "SourceApplicationEntityTitle" not in meta
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
    )
    assert data_set_offset(header[:HEADER_START]) == len(header)


@pytest.mark.parametrize("uid", ["", "1.2", "1.2.34", "1" * 64])
def test_we_read_what_we_write(uid):
    header = part10_header(
        sop_class_uid=uid, sop_instance_uid=uid, transfer_syntax_uid=uid
    )
    file = io.BytesIO(header + b"data set")
    assert read_header(file) == FileMeta(uid, uid, uid)
    assert file.read() == b"data set"


def test_a_header_of_another_kind_is_malformed():
    header = bytearray(
        part10_header(
            sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid="1.4"
        )
    )
    header[140:144] = b"\xff\xff\xff\x7f"  # File Meta Information Group Length
    for start in (bytes(header), b"", b"x" * 200):
        with pytest.raises(MalformedError):
            read_header(io.BytesIO(start))
