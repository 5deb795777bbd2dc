"""Stored frames in the transfer syntax that is asked for.

Developer guide, "Getting a DICOM instance" and "... instance frames": without a
transfer syntax lossless frames come as Explicit VR Little Endian and whatever
cannot be transcoded to it as it is stored; ``*`` is as stored; 1.2.840.10008.
1.2.4.90 can be had of every instance that is stored losslessly, any other one
only where it is the stored one; else NotAcceptableException.

Assumed: lossy frames count as what cannot be transcoded, in both directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

from isocenter.devcloud.healthimaging.errors import NotAcceptableError
from isocenter.devcloud.healthimaging.transcode import encode
from isocenter.devcloud.healthimaging.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset

__all__ = ["STORED", "in_transfer_syntax", "native_bits", "resolve"]

STORED: Final = "*"
_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    HTJ2K_RPCL: imagecodecs.htj2k_decode,
    JPEG_2000_LOSSLESS: imagecodecs.jpeg2k_decode,
}


def resolve(asked: str | None, stored: str, *, whole: bool = False) -> str:
    """The transfer syntax to send: ``asked`` is a UID, ``*`` or None.

    ``whole`` says that no proper frames are stored (an import warning): such
    pixel data leaves as it came.  NotAcceptableError.
    """
    lossless = stored in _DECODERS and not whole
    if asked is None:
        return EXPLICIT_VR_LITTLE_ENDIAN if lossless else stored
    if asked in (STORED, stored):
        return stored
    if lossless and asked in (EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS):
        return asked
    raise NotAcceptableError(
        f"The instance is stored as {stored} and cannot be had as {asked}: "
        "ask for transfer-syntax=*"
    )


def in_transfer_syntax(frame: bytes, stored: str, wanted: str) -> bytes:
    """One frame from its stored transfer syntax to one that ``resolve`` gave."""
    if wanted == stored:
        return frame
    samples = _DECODERS[stored](frame)
    if wanted == JPEG_2000_LOSSLESS:
        return encode(np.asarray(samples), "JPEG_2000_LOSSLESS")
    # Samples are as wide as Bits Allocated: frames are encoded from their
    # containers (see ``decoders``).
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    return bytes(little.tobytes())


def native_bits(ds: Dataset, frames: list[bytes]) -> bytes:
    """1-bit frames, each packed anew in the store, as one run of bits (PS3.5 8.1.1)."""
    pixels = int(ds.Rows) * int(ds.Columns)
    bits = [
        np.unpackbits(np.frombuffer(each, np.uint8), bitorder="little")[:pixels]
        for each in frames
    ]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()
