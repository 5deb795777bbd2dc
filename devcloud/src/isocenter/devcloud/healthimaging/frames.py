"""Splitting Pixel Data (7FE0,0010) into the frames as they are encoded.

PS3.5 Annex A.4: an encapsulated frame is one or more fragments; the Basic
Offset Table may be empty.  Whatever does not add up is a PixelDataError with
the warning that HealthImaging documents for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.encaps import generate_frames, parse_basic_offsets, parse_fragments

from isocenter.devcloud.healthimaging.import_warnings import (
    PixelDataError,
    WarningReason,
)
from isocenter.devcloud.healthimaging.transfer_syntaxes import NATIVE, VIDEO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

__all__ = ["binary_frames", "check_layout", "encapsulated_frames", "number_of_frames"]


def number_of_frames(ds: Dataset) -> int:
    """Number of Frames (0028,0008), 1 when absent or empty (PS3.3 C.7.6.6)."""
    try:
        return max(1, int(ds.get("NumberOfFrames") or 1))
    except (TypeError, ValueError) as error:
        message = "DICOM attribute NumberOfFrames is not an integer"
        raise PixelDataError(
            WarningReason.FRAMES_EXTRACTION_FAILURE, message
        ) from error


def check_layout(ds: Dataset, transfer_syntax_uid: str) -> None:
    """Raise PixelDataError unless the pixel data holds the frames it should."""
    if transfer_syntax_uid in NATIVE:
        _check_native(ds)
        return
    expected = number_of_frames(ds)
    found = sum(1 for _ in encapsulated_frames(ds, transfer_syntax_uid))
    if found != expected and transfer_syntax_uid not in VIDEO:
        _mismatch(expected, found)


def encapsulated_frames(ds: Dataset, transfer_syntax_uid: str) -> Iterator[bytes]:
    """The encoded frames in order; a video is one frame of all fragments."""
    expected = 1 if transfer_syntax_uid in VIDEO else number_of_frames(ds)
    try:
        _check_offsets(ds.PixelData, expected)
        yield from generate_frames(ds.PixelData, number_of_frames=expected)
    except PixelDataError:
        raise
    except Exception as error:
        message = "The encapsulated pixel data cannot be split into frames"
        raise PixelDataError(
            WarningReason.FRAMES_EXTRACTION_FAILURE, message
        ) from error


def binary_frames(ds: Dataset) -> Iterator[bytes]:
    """The frames of 1-bit native pixel data, each packed from its first bit.

    PS3.5 8.1.1: frames follow one another without padding bits, so a frame
    whose size is no multiple of eight is packed anew.
    """
    pixels = int(ds.Rows) * int(ds.Columns)
    data = np.frombuffer(ds.PixelData, dtype=np.uint8)
    for index in range(number_of_frames(ds)):
        start = index * pixels
        first, last = start // 8, -(-(start + pixels) // 8)
        bits = np.unpackbits(data[first:last], bitorder="little")
        frame = bits[start - first * 8 :][:pixels]
        yield np.packbits(frame, bitorder="little").tobytes()


def _check_native(ds: Dataset) -> None:
    frames = number_of_frames(ds)
    samples = int(ds.get("SamplesPerPixel") or 1)
    # PS3.3 C.7.6.3.1.2: 4:2:2 shares the two chroma samples of a pixel pair.
    stored = 2 if ds.get("PhotometricInterpretation") == "YBR_FULL_422" else samples
    bits = int(ds.Rows) * int(ds.Columns) * stored * int(ds.BitsAllocated)
    expected, found = -(-bits * frames // 8), len(ds.PixelData)
    if found in (expected, expected + expected % 2):
        return
    per_frame = bits // 8
    if per_frame and bits % 8 == 0 and found % per_frame == 0:
        _mismatch(frames, found // per_frame)
    message = f"The pixel data has {found} bytes, its attributes ask for {expected}"
    raise PixelDataError(WarningReason.FRAMES_EXTRACTION_FAILURE, message)


def _check_offsets(pixel_data: bytes, expected: int) -> None:
    table = parse_basic_offsets(pixel_data)
    # The first item is the table itself; offsets count from the item after it.
    _, positions = parse_fragments(pixel_data)
    fragments = positions[1:]
    if not table:
        if len(fragments) < expected:
            _mismatch(expected, len(fragments))
        return
    items = {position - fragments[0] for position in fragments} if fragments else set()
    if not items.issuperset(table) or table != sorted(set(table)) or table[0] != 0:
        message = "The Basic Offset Table does not point at the frames' items"
        raise PixelDataError(WarningReason.INVALID_OFFSET_TABLE, message)
    if len(table) != expected:
        _mismatch(expected, len(table))


def _mismatch(expected: int, found: int) -> None:
    message = f"NumberOfFrames is {expected}, the pixel data holds {found}"
    raise PixelDataError(WarningReason.FRAME_NUMBER_MISMATCH, message)
