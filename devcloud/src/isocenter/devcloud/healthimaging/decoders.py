"""Pixel data to samples, one frame at a time.

pydicom chooses among its plugins for most transfer syntaxes; imagecodecs
decodes what they lack here: HTJ2K, and JPEG Extended with 12 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
from pydicom.pixels import get_decoder

from isocenter.devcloud.healthimaging.frames import encapsulated_frames
from isocenter.devcloud.healthimaging.import_warnings import (
    PixelDataError,
    WarningReason,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

__all__ = ["decoded_frames"]

_MAX_FRAME_BYTES: Final = 1 << 30
_HTJ2K: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202))
_JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"

Frame = np.ndarray[Any, Any]


def decoded_frames(ds: Dataset, transfer_syntax_uid: str) -> Iterator[Frame]:
    """The frames in order: (rows, columns) or (rows, columns, samples).

    Little endian, in the container of Bits Allocated, signed as Pixel
    Representation says, colour interleaved and not converted.  Raises
    PixelDataError (45312) at the first frame that does not decode.
    """
    rows, columns = int(ds.Rows), int(ds.Columns)
    samples = int(ds.get("SamplesPerPixel") or 1)
    if rows * columns * samples * int(ds.BitsAllocated) > 8 * _MAX_FRAME_BYTES:
        message = f"A frame of {columns} x {rows} is too large"
        raise PixelDataError(WarningReason.TRANSCODING_EXCEPTION, message)
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    decoded = _decode(ds, transfer_syntax_uid)
    number = 0
    while True:
        number += 1
        try:
            # A frame of another size than the attributes say does not reshape.
            frame = next(decoded).reshape(shape).astype(_container(ds), copy=False)
        except StopIteration:
            return
        except PixelDataError:
            raise
        except Exception as error:
            message = f"Frame {number} cannot be decoded as {transfer_syntax_uid}"
            raise PixelDataError(
                WarningReason.TRANSCODING_EXCEPTION, message
            ) from error
        yield np.ascontiguousarray(frame)


def _decode(ds: Dataset, transfer_syntax_uid: str) -> Iterator[Frame]:
    if transfer_syntax_uid in _HTJ2K:
        for stored in encapsulated_frames(ds, transfer_syntax_uid):
            yield imagecodecs.htj2k_decode(stored)
    elif transfer_syntax_uid == _JPEG_EXTENDED and int(ds.BitsAllocated) > 8:  # noqa: PLR2004 - one byte
        for stored in encapsulated_frames(ds, transfer_syntax_uid):
            yield imagecodecs.jpeg_decode(stored)
    else:
        decoder = get_decoder(transfer_syntax_uid)
        for frame, _ in decoder.iter_array(ds, raw=True):
            yield frame


def _container(ds: Dataset) -> np.dtype[Any]:
    sign = "i" if ds.get("PixelRepresentation") == 1 else "u"
    return np.dtype(f"<{sign}{int(ds.BitsAllocated) // 8}")
