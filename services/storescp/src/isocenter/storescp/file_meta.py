"""Preamble and File Meta Information of a stored instance (PS3.10 section 7.1).

Written by us, because the file is ours; what follows it are the data set's bytes
as they came.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from isocenter.core.errors import MalformedError

IMPLEMENTATION_CLASS_UID = "2.25.104507594181571200717741565148779313911"
"""Of isocenter, from a random UUID (PS3.5 B.2); the same for all its versions."""
IMPLEMENTATION_VERSION_NAME = "ISOCENTER_0.1"

_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHL")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xL")
_GROUP = 0x0002
_LONGEST_META = 4096


def _text(element: int, vr: bytes, value: str) -> bytes:
    """One element of VR ``UI`` (padded with NUL) or ``SH`` (with space)."""
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(_GROUP, element, vr, len(encoded)) + encoded


_BEGIN = _LONG.pack(_GROUP, 0x0001, b"OB", 2) + b"\0\1"
_END = _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _text(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME
)


def part10_header(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
) -> bytes:
    """Everything of a P10 file before its data set, Explicit VR Little Endian.

    Source Application Entity Title (0002,0016) is left out: with it, equal instances
    of two senders would be unequal files.

    Args:
        sop_class_uid: Media Storage SOP Class UID (0002,0002).
        sop_instance_uid: Media Storage SOP Instance UID (0002,0003).
        transfer_syntax_uid: of the data set's bytes (0002,0010).
    """
    body = (
        _BEGIN
        + _text(0x0002, b"UI", sop_class_uid)
        + _text(0x0003, b"UI", sop_instance_uid)
        + _text(0x0010, b"UI", transfer_syntax_uid)
        + _END
    )
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


@dataclass(frozen=True)
class FileMeta:
    """What the file meta says of an instance; empty where it says nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def read_header(file: BinaryIO) -> FileMeta:
    """Read the header of a P10 file that ``part10_header`` began.

    Args:
        file: at its start; afterwards at the data set's first byte.

    Raises:
        MalformedError: it does not begin like that.
    """
    start = file.read(HEADER_START)
    length = data_set_offset(start) - HEADER_START
    if length > _LONGEST_META:
        raise MalformedError("the file meta is too long")
    body = file.read(length)
    values: dict[int, str] = {}
    position = _LONG.size + 2  # behind (0002,0001), which comes first
    while position + _SHORT.size <= length:
        _, element, _, size = _SHORT.unpack_from(body, position)
        position += _SHORT.size
        value = body[position : position + size]
        values[element] = value.decode("ascii", "replace").rstrip("\0 ")
        position += size
    return FileMeta(
        sop_class_uid=values.get(0x0002, ""),
        sop_instance_uid=values.get(0x0003, ""),
        transfer_syntax_uid=values.get(0x0010, ""),
    )
