"""Pixel data as HealthImaging stores it: lossless frames that can be verified.

Everything lossless, and JPEG Extended, becomes one lossless codestream a
frame: HTJ2K with RPCL progression, TLM and one tile-part per resolution
(PS3.5 10.18; the decomposition is deep enough for the width or the height of
the base resolution to be at most 64), or JPEG 2000 in a data store of that
format.  The retained transfer syntaxes are kept byte for byte.

Assumed, since nothing public shows it:

- colour is interleaved when decoded, and the codestream always uses the
  reversible component transform;
- samples are stored as received: YBR_FULL stays YBR_FULL, and the Photometric
  Interpretation in the metadata is not rewritten;
- pixel data that cannot be transcoded (warnings 45312 and 45344) is one frame
  that holds the value of Pixel Data, in its own transfer syntax;
- FrameSizeInBytes is the size of the stored frame, as seen live.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

import imagecodecs

from isocenter.devcloud.healthimaging.decoders import decoded_frames
from isocenter.devcloud.healthimaging.frames import (
    binary_frames,
    check_layout,
    encapsulated_frames,
)
from isocenter.devcloud.healthimaging.import_warnings import (
    InstanceWarning,
    PixelDataError,
    WarningReason,
)
from isocenter.devcloud.healthimaging.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
    RETAINED,
    TRANSCODED,
)

if TYPE_CHECKING:
    import numpy as np
    from pydicom.dataset import Dataset

__all__ = ["StoredPixels", "decompositions", "encode", "store_pixels"]

_BASE_SIZE: Final = 64
_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# Writes one stored frame and answers with its new id.
Sink = Callable[[bytes], str]


@dataclass(frozen=True)
class StoredPixels:
    """What an instance's pixel data became.

    ``frames`` are the entries of the metadata's ImageFrames; without pixel
    data there are none and no stored transfer syntax.
    """

    transfer_syntax_uid: str | None = None
    frames: list[dict[str, Any]] = field(default_factory=list)
    transcoded: bool = False
    warning: InstanceWarning | None = None


def store_pixels(
    ds: Dataset, transfer_syntax_uid: str, storage_format: str, sink: Sink
) -> StoredPixels:
    """Store an instance's pixel data, frame by frame, through ``sink``.

    ``storage_format`` is the data store's: ``HTJ2K`` or ``JPEG_2000_LOSSLESS``.
    Never raises on bad pixel data: the answer carries the warning.
    """
    keyword = next((name for name in _PIXEL_KEYWORDS if name in ds), None)
    if keyword is None or not ds[keyword].value:
        return StoredPixels()
    try:
        _check_kind(ds, keyword, transfer_syntax_uid)
        check_layout(ds, transfer_syntax_uid)
        if _is_retained(ds, transfer_syntax_uid):
            return _retain(ds, transfer_syntax_uid, sink)
        return _transcode(ds, transfer_syntax_uid, storage_format, sink)
    except PixelDataError as error:
        if not error.warning.reason.keeps_blob:
            return StoredPixels(warning=error.warning)
        blob = _kept(ds, ds[keyword].value, sink)
        return StoredPixels(transfer_syntax_uid, [blob], warning=error.warning)


def decompositions(width: int, height: int) -> int:
    """Wavelet decompositions of a frame; the encoder's least is one.

    >>> decompositions(512, 512), decompositions(640, 480), decompositions(5, 7)
    (3, 3, 1)
    """
    levels = 1
    while -(-min(width, height) >> levels) > _BASE_SIZE:
        levels += 1
    return levels


def encode(frame: np.ndarray[Any, Any], storage_format: str) -> bytes:
    """One frame, (rows, columns) or (rows, columns, 3), losslessly encoded."""
    height, width = frame.shape[:2]
    colour = frame.ndim > 2  # noqa: PLR2004 - rows, columns, samples
    levels = decompositions(width, height)
    if storage_format == "JPEG_2000_LOSSLESS":
        return bytes(
            imagecodecs.jpeg2k_encode(
                frame,
                level=0,
                codecformat="J2K",
                reversible=True,
                mct=colour,
                resolutions=levels + 1,
            )
        )
    return bytes(
        imagecodecs.htj2k_encode(
            frame,
            resolutions=levels,
            reversible=True,
            rgb=colour,
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )


def _check_kind(ds: Dataset, keyword: str, transfer_syntax_uid: str) -> None:
    if transfer_syntax_uid not in RETAINED | TRANSCODED:
        message = f"Transfer syntax {transfer_syntax_uid} is not supported"
        raise PixelDataError(WarningReason.UNSUPPORTED_TRANSFER_SYNTAX, message)
    if keyword != "PixelData":
        _untranscodable(f"{keyword} cannot be transcoded")
    try:
        bits, samples = int(ds.BitsAllocated), int(ds.get("SamplesPerPixel") or 1)
        size = int(ds.Rows) * int(ds.Columns) * samples * bits // 8
    except (AttributeError, TypeError, ValueError):
        _untranscodable("Rows, Columns or BitsAllocated is missing or no number")
    if _is_retained(ds, transfer_syntax_uid):
        return
    if bits not in (8, 16) or samples not in (1, 3) or size == 0:
        _untranscodable(f"{samples} samples of {bits} bits cannot be transcoded")


def _untranscodable(message: str) -> NoReturn:
    raise PixelDataError(WarningReason.TRANSCODING_EXCEPTION, message)


def _is_retained(ds: Dataset, transfer_syntax_uid: str) -> bool:
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return bool(ds.get("SOPClassUID") == _SEGMENTATION and ds.BitsAllocated == 1)
    return transfer_syntax_uid in RETAINED


def _retain(ds: Dataset, transfer_syntax_uid: str, sink: Sink) -> StoredPixels:
    frames = (
        binary_frames(ds)
        if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
        else encapsulated_frames(ds, transfer_syntax_uid)
    )
    entries = [_kept(ds, frame, sink) for frame in frames]
    return StoredPixels(transfer_syntax_uid, entries)


def _kept(ds: Dataset, stored: bytes, sink: Sink) -> dict[str, Any]:
    """A frame kept as received: the checksum is over the stored bytes."""
    return {
        "ID": sink(stored),
        "PixelDataChecksumFromBaseToFullResolution": [
            {
                "Width": ds.get("Columns"),
                "Height": ds.get("Rows"),
                "Checksum": zlib.crc32(stored),
            }
        ],
        "MinPixelValue": None,
        "MaxPixelValue": None,
        "FrameSizeInBytes": len(stored),
    }


def _transcode(
    ds: Dataset, transfer_syntax_uid: str, storage_format: str, sink: Sink
) -> StoredPixels:
    entries = []
    for frame in decoded_frames(ds, transfer_syntax_uid):
        try:
            stored = encode(frame, storage_format)
        except Exception as error:
            message = "The encoder does not take a frame of this kind"
            raise PixelDataError(
                WarningReason.TRANSCODING_EXCEPTION, message
            ) from error
        entries.append(
            {
                "ID": sink(stored),
                "PixelDataChecksumFromBaseToFullResolution": [
                    {
                        "Width": frame.shape[1],
                        "Height": frame.shape[0],
                        "Checksum": zlib.crc32(frame.tobytes()),
                    }
                ],
                "MinPixelValue": int(frame.min()),
                "MaxPixelValue": int(frame.max()),
                "FrameSizeInBytes": len(stored),
            }
        )
    lossless = (
        JPEG_2000_LOSSLESS if storage_format == "JPEG_2000_LOSSLESS" else HTJ2K_RPCL
    )
    return StoredPixels(lossless, entries, transcoded=True)
