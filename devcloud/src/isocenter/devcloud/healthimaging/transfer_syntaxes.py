"""What HealthImaging does with each transfer syntax, and the media types.

Source: developer guide, "Supported transfer syntaxes", and the GetImageFrame
documentation in the service model.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "DEFLATED",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "HTJ2K_RPCL",
    "JPEG_2000_LOSSLESS",
    "NATIVE",
    "RETAINED",
    "TRANSCODED",
    "VIDEO",
    "content_type",
]

_BASE: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = f"{_BASE}.1"
DEFLATED: Final = f"{_BASE}.1.99"
JPEG_2000_LOSSLESS: Final = f"{_BASE}.4.90"
HTJ2K_RPCL: Final = f"{_BASE}.4.202"

NATIVE: Final = frozenset({_BASE, EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED, f"{_BASE}.2"})

_MPEG2: Final = frozenset(
    f"{_BASE}.4.{suffix}" for suffix in ("100", "100.1", "101", "101.1")
)
_H264: Final = frozenset(
    f"{_BASE}.4.{number}{fragmentable}"
    for number in range(102, 107)
    for fragmentable in ("", ".1")
)
_HEVC: Final = frozenset({f"{_BASE}.4.107", f"{_BASE}.4.108"})
VIDEO: Final = _MPEG2 | _H264 | _HEVC

# Kept as received.  Explicit VR Little Endian is kept too, but for binary
# segmentations alone, so it stands in the code that knows the bit depth.
RETAINED: Final = VIDEO | {
    f"{_BASE}.4.50",
    f"{_BASE}.4.91",
    f"{_BASE}.4.203",
    f"{_BASE}.4.112",
}

TRANSCODED: Final = NATIVE | {
    f"{_BASE}.5",
    *(f"{_BASE}.4.{number}" for number in (51, 57, 70, 80, 81, 90, 92, 93, 201, 202)),
}

_CONTENT_TYPES: Final = {
    HTJ2K_RPCL: "image/jph",
    f"{_BASE}.4.203": "image/jphc",
    f"{_BASE}.4.50": "image/jpeg",
    f"{_BASE}.4.91": "image/j2c",
    # Not in the service's list: a data store of JPEG 2000 is newer than it.
    JPEG_2000_LOSSLESS: "image/j2c",
    f"{_BASE}.4.112": "image/jxl",
    **dict.fromkeys(_MPEG2, "video/mpeg"),
    **dict.fromkeys(_H264, "video/mp4"),
    # "H256" is the service's own spelling.
    **dict.fromkeys(_HEVC, "video/H256"),
}


def content_type(stored_transfer_syntax_uid: str) -> str:
    """GetImageFrame's media type for frames stored in a transfer syntax."""
    return _CONTENT_TYPES.get(stored_transfer_syntax_uid, "application/octet-stream")
