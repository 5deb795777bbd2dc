"""A frame's bytes to a small JPEG: with windowing the only place of numpy and Pillow.

Pillow's OpenJPEG decodes JPEG 2000 and HTJ2K at a reduced size from a prefix of
the codestream, and clamps what undershoots. Its samples are the codestream's,
shifted: unsigned, and in 16 bits where they need more than 8.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from isocenter.core.codestream import CodestreamError, MainHeader, MainHeaderParser
from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.dicomweb.drawable import COLOUR, YBR_FULL
from isocenter.tlm_proxy.dicomweb.media_types import (
    EXPLICIT_LITTLE_ENDIAN,
    JPEG_BASELINE,
)
from isocenter.tlm_proxy.dicomweb.presentation import Presentation
from isocenter.tlm_proxy.dicomweb.windowing import windowed
from isocenter.tlm_proxy.errors import NoThumbnailError

MAX_DECODED = 24_000_000
"""Pixels that are decoded of a frame."""
MAX_DECODED_J2K = 4_200_000
"""The same of JPEG 2000, after its reduction: Pillow holds Python's lock meanwhile,
100 ns a pixel, and everybody waits."""
_QUALITY = 85
_EOC = b"\xff\xd9"
_COD = b"\xff\x52"
_NAMED_RGB = [ord(letter) for letter in "RGB"]
"""Component ids by which libjpeg knows RGB without a marker."""
_BYTE, _WORD = 8, 16

Pixels = NDArray[Any]

# Codestreams end where the asked resolution does; nothing is drawn of a broken one.
ImageFile.LOAD_TRUNCATED_IMAGES = False


def draw(
    stored: bytes,
    syntax: str,
    shown: Presentation,
    n: int,
    box: tuple[int, int],
) -> bytes:
    """A JPEG of a frame that fits into a box.

    Args:
        stored: the frame, or what of it decodes at 1/2^n.
        syntax: its stored transfer syntax; ``drawable.is_drawable`` holds.
        shown: how its pixels are shown.
        n: the reduction that ``stored`` is enough for.
        box: width and height of the picture at most, in pixels.

    Raises:
        MalformedError: the bytes don't decode, or not to what ``shown`` says.
    """
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        pixels = _raw(stored, shown)[:: 1 << n, :: 1 << n]
    elif syntax == JPEG_BASELINE:
        pixels = _jpeg(stored, shown, box)
    else:
        pixels = _jpeg_2000(stored, shown, n)
    grey = pixels.ndim == len("yx")
    image = Image.fromarray(
        windowed(pixels, shown) if grey else np.ascontiguousarray(pixels)
    )
    image.thumbnail(box, Image.Resampling.BOX)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _jpeg_2000(stored: bytes, shown: Presentation, n: int) -> Pixels:
    header = _main_header(stored)
    siz = header.siz
    if (siz.width, siz.height) != (shown.columns, shown.rows):
        raise MalformedError("the codestream's size is not its instance's")
    if siz.components != shown.samples or siz.bit_depth > _WORD:
        raise MalformedError("the codestream's samples are not its instance's")
    n = min(n, header.cod.decompositions)
    if shown.rows * shown.columns >> 2 * n > MAX_DECODED_J2K:
        raise NoThumbnailError("the frame is too large to be drawn without levels")
    if not stored.endswith(_EOC):
        stored += _EOC
    try:
        with Image.open(io.BytesIO(stored), formats=["JPEG2000"]) as image:
            # The plug-in's own attribute; it reads it when it loads.
            image.reduce = n  # type: ignore[method-assign, assignment]  # Pillow documents it so
            array = np.asarray(image)
    # Pillow answers a broken stream with any of these.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MalformedError("the codestream does not decode") from error
    if shown.samples == COLOUR:
        if shown.photometric in YBR_FULL and not _has_component_transform(stored):
            return _rgb(array)
        return array
    return _samples(array, siz.bit_depth, signed=siz.signed, shown=shown)


def _main_header(stored: bytes) -> MainHeader:
    header = MainHeaderParser().feed(stored)
    if header is None:
        raise CodestreamError("no end of the main header", offset=len(stored))
    return header


def _has_component_transform(stored: bytes) -> bool:
    """The decoder has turned the samples into RGB (COD's SGcod, A.6.1)."""
    at = 2
    while stored[at : at + 2] != _COD:
        at += 2 + int.from_bytes(stored[at + 2 : at + 4], "big")
        if at >= len(stored):
            return False
    return stored[at + 8] == 1


def _samples(
    array: Pixels, depth: int, *, signed: bool, shown: Presentation
) -> NDArray[np.int32]:
    """Stored values from Pillow's: unsigned ones, in the top bits of 8 or 16."""
    container = _BYTE * array.dtype.itemsize
    values = array.astype(np.int32) >> (container - depth)
    half = 1 << (depth - 1)
    if signed:
        values -= half
    if signed == shown.signed:
        return values
    # Encoders exist whose codestream and data set disagree on the sign: the bits
    # are kept and read as the data set says.
    values &= (1 << depth) - 1
    return (values ^ half) - half if shown.signed else values


def _rgb(ybr: Pixels) -> Pixels:
    picture = Image.frombytes(
        "YCbCr", (ybr.shape[1], ybr.shape[0]), np.ascontiguousarray(ybr).tobytes()
    )
    return np.asarray(picture.convert("RGB"))


def _jpeg(stored: bytes, shown: Presentation, box: tuple[int, int]) -> Pixels:
    try:
        with Image.open(io.BytesIO(stored), formats=["JPEG"]) as image:
            if image.size != (shown.columns, shown.rows):
                raise MalformedError("the JPEG's size is not its instance's")
            if len(image.getbands()) != shown.samples:
                raise MalformedError("the JPEG's samples are not its instance's")
            # libjpeg decodes at 1/2, 1/4 or 1/8; unmarked RGB "as it is coded".
            as_coded = shown.photometric == "RGB" and _is_unmarked(image)
            image.draft("YCbCr" if as_coded else image.mode, box)
            if image.width * image.height > MAX_DECODED:
                raise NoThumbnailError("the frame is too large to be drawn")
            array = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MalformedError("the JPEG stream does not decode") from error
    if shown.samples == COLOUR:
        return array
    return _samples(array, _BYTE, signed=False, shown=shown)


def _is_unmarked(image: Image.Image) -> bool:
    """Nothing in the stream tells its colour space: the data set alone does."""
    ids = [layer[0] for layer in getattr(image, "layer", ())]
    return ids != _NAMED_RGB and not {"jfif", "adobe"} & image.info.keys()


def _raw(stored: bytes, shown: Presentation) -> Pixels:
    """An uncompressed frame's samples (PS3.5 8.1.1), as a view where it can be."""
    count = shown.rows * shown.columns * shown.samples
    if shown.bits_allocated == 1:
        needed = (count + 7) // 8
        bits = np.frombuffer(stored, np.uint8)[:needed]
        _check_length(bits.size, needed)
        flat: Pixels = np.unpackbits(bits, count=count, bitorder="little")
    else:
        kind = {
            (8, False): "u1",
            (8, True): "i1",
            (16, False): "<u2",
            (16, True): "<i2",
        }
        dtype = kind.get((shown.bits_allocated, shown.signed))
        if dtype is None or (shown.samples == COLOUR and dtype != "u1"):
            raise NoThumbnailError(
                f"frames of {shown.bits_allocated} bits a sample are not drawn"
            )
        size = np.dtype(dtype).itemsize
        _check_length(len(stored) // size, count)
        flat = np.frombuffer(stored, dtype, count=count)
    if shown.samples == 1:
        unused = shown.bits_allocated - shown.bits_stored
        if shown.signed and 0 < unused < shown.bits_allocated:
            # Not every writer extends the sign into the bits above (PS3.5 8.1.1).
            flat = flat << unused >> unused
        return flat.reshape(shown.rows, shown.columns)
    if shown.planar:
        return np.moveaxis(flat.reshape(COLOUR, shown.rows, shown.columns), 0, -1)
    array = flat.reshape(shown.rows, shown.columns, COLOUR)
    return _rgb(array) if shown.photometric in YBR_FULL else array


def _check_length(found: int, wanted: int) -> None:
    if found < wanted:
        raise MalformedError(f"an uncompressed frame of {found} samples, not {wanted}")
