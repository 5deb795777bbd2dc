"""Preamble and File Meta Information of a stored instance (PS3.10 section 7.1).

Written by us, because the file is ours; what follows it are the data set's bytes
as they came.
"""

import struct

from isocenter.core.errors import MalformedError

IMPLEMENTATION_CLASS_UID = "2.25.104507594181571200717741565148779313911"
"""Of isocenter, from a random UUID (PS3.5 B.2); the same for all its versions."""
IMPLEMENTATION_VERSION_NAME = "ISOCENTER_0.1"

_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHL")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xL")
_GROUP = 0x0002


def _text(element: int, vr: bytes, value: str) -> bytes:
    """One element of VR ``UI`` (padded with NUL) or ``SH``/``AE`` (with space)."""
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(_GROUP, element, vr, len(encoded)) + encoded


def part10_header(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae: str,
) -> bytes:
    """Everything of a P10 file before its data set, Explicit VR Little Endian.

    Args:
        sop_class_uid: Media Storage SOP Class UID (0002,0002).
        sop_instance_uid: Media Storage SOP Instance UID (0002,0003).
        transfer_syntax_uid: of the data set's bytes (0002,0010).
        source_ae: Source Application Entity Title (0002,0016), left out if empty.
    """
    version = b"\0\1"
    elements = [
        _LONG.pack(_GROUP, 0x0001, b"OB", len(version)) + version,
        _text(0x0002, b"UI", sop_class_uid),
        _text(0x0003, b"UI", sop_instance_uid),
        _text(0x0010, b"UI", transfer_syntax_uid),
        _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if source_ae:
        elements.append(_text(0x0016, b"AE", source_ae))
    body = b"".join(elements)
    return _PREAMBLE + _GROUP_LENGTH.pack(_GROUP, 0, b"UL", 4, len(body)) + body


HEADER_START = len(_PREAMBLE) + _GROUP_LENGTH.size
"""Bytes needed by ``data_set_offset``."""


def data_set_offset(start: bytes) -> int:
    """Where the data set begins in a P10 file.

    Args:
        start: the file's first ``HEADER_START`` bytes or more.

    Raises:
        MalformedError: no preamble, or no File Meta Information Group Length.
    """
    if len(start) < HEADER_START or start[128:132] != b"DICM":
        raise MalformedError("no DICOM file header (PS3.10 7.1)")
    group, element, vr, size, length = _GROUP_LENGTH.unpack_from(start, 132)
    if (group, element, vr, size) != (_GROUP, 0, b"UL", 4):
        raise MalformedError("no File Meta Information Group Length (0002,0000)")
    return HEADER_START + int(length)
