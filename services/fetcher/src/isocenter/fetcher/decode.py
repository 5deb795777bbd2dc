"""The edge to the codecs: a frame's stored bytes to an array.

A codec answers in the smallest type that holds the codestream's precision; here it
becomes the instance's own container (BitsAllocated, PixelRepresentation). Sizes are
read from the codestream's header first, so that a wrong one can't take memory.
"""

import io

import numpy as np
import openjpeg
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import MalformedError
from isocenter.fetcher.pixels import JPEG_BASELINE, PixelFormat

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_JPEG_2000 = frozenset(
    {
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.201",
        "1.2.840.10008.1.2.4.202",
        "1.2.840.10008.1.2.4.203",
    }
)
_NAMED_RGB = [ord(letter) for letter in "RGB"]
"""Component ids by which libjpeg knows RGB without a marker."""

Pixels = NDArray[np.generic]


def is_decodable(syntax: str) -> bool:
    """Frames of this transfer syntax can be decoded."""
    return syntax in _JPEG_2000 or syntax in {EXPLICIT_LITTLE_ENDIAN, JPEG_BASELINE}


def decode(stored: bytes, syntax: str, pixels: PixelFormat) -> Pixels:
    """Decode one frame.

    Args:
        stored: GetImageFrame's body.
        syntax: its StoredTransferSyntaxUID; ``is_decodable`` holds.
        pixels: what the frame's instance says of its pixels.

    Returns:
        An array of ``pixels.shape`` and ``pixels.dtype``, little endian, contiguous.

    Raises:
        MalformedError: the bytes don't decode, or not to what ``pixels`` describes.
    """
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        array = _decode_raw(stored, pixels)
    elif syntax == JPEG_BASELINE:
        array = _decode_jpeg(stored, pixels)
    else:
        array = _decode_jpeg_2000(stored, pixels)
    if array.shape != pixels.shape:
        # It would be written into the neighbouring slices.
        raise MalformedError(
            f"the frame decodes to {array.shape}, its instance says {pixels.shape}"
        )
    return np.ascontiguousarray(array)


def _decode_raw(stored: bytes, pixels: PixelFormat) -> Pixels:
    if pixels.bits_allocated == 1:
        count = pixels.rows * pixels.columns * pixels.samples
        _check_length(stored, (count + 7) // 8)
        packed = np.frombuffer(stored, np.uint8)[: (count + 7) // 8]
        # PS3.5 8.1.1: the first pixel is the least significant bit.
        bits = np.unpackbits(packed, count=count, bitorder="little")
        return bits.reshape(pixels.shape).astype(pixels.dtype)
    _check_length(stored, pixels.frame_bytes)
    samples = np.frombuffer(
        stored,
        np.dtype(pixels.dtype).newbyteorder("<"),
        count=pixels.frame_bytes // pixels.itemsize,
    )
    if pixels.planar and pixels.samples > 1:
        planes = samples.reshape(pixels.samples, pixels.rows, pixels.columns)
        return np.moveaxis(planes, 0, -1)
    return samples.reshape(pixels.shape)


def _check_length(stored: bytes, wanted: int) -> None:
    # PS3.5 8.1.1: a value of odd length is padded by one byte.
    if len(stored) - wanted not in {0, wanted % 2}:
        raise MalformedError(
            f"an uncompressed frame of {len(stored)} bytes should have {wanted}"
        )


def _decode_jpeg(stored: bytes, pixels: PixelFormat) -> Pixels:
    try:
        with Image.open(io.BytesIO(stored), formats=["JPEG"]) as image:
            samples = len(image.getbands())
            _check_shape(image.height, image.width, samples, pixels)
            if pixels.photometric == "RGB" and _is_unmarked(image):
                # libjpeg would take it for YCbCr and convert it: "as it is coded".
                image.draft("YCbCr", image.size)
            array = np.asarray(image)
    # Pillow answers a broken stream with any of these.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MalformedError(f"the JPEG stream does not decode: {error}") from error
    if pixels.itemsize != 1:
        raise MalformedError(
            f"BitsAllocated is {pixels.bits_allocated}, JPEG baseline has 8"
        )
    return array.astype(pixels.dtype)


def _is_unmarked(image: Image.Image) -> bool:
    """Nothing in the stream tells its colour space: the data set alone does."""
    ids = [layer[0] for layer in getattr(image, "layer", ())]
    return ids != _NAMED_RGB and not {"jfif", "adobe"} & image.info.keys()


def _decode_jpeg_2000(stored: bytes, pixels: PixelFormat) -> Pixels:
    try:
        header = openjpeg.get_parameters(stored)
        _check_shape(
            header["rows"], header["columns"], header["samples_per_pixel"], pixels
        )
        array: Pixels = openjpeg.decode(stored)
    # The binding raises UnboundLocalError for codes that it has no text for.
    except (RuntimeError, ValueError, UnboundLocalError) as error:
        raise MalformedError(
            f"the JPEG 2000 codestream does not decode: {error}"
        ) from error
    precision = int(header["precision"])
    if precision > 8 * pixels.itemsize:
        raise MalformedError(
            f"the codestream has {precision} bits a sample, "
            f"BitsAllocated is {pixels.bits_allocated}"
        )
    if bool(header["is_signed"]) != pixels.signed:
        return _reread_sign(array, precision, pixels)
    return array.astype(pixels.dtype, copy=False)


def _reread_sign(array: Pixels, precision: int, pixels: PixelFormat) -> Pixels:
    """Samples whose codestream and data set disagree on the sign.

    Encoders exist that put two's complement into an unsigned codestream and the other
    way round: the ``precision`` bits are kept and read as the data set says.
    """
    bits = array.astype(np.int64) & ((1 << precision) - 1)
    if pixels.signed:
        top = 1 << (precision - 1)
        bits = (bits ^ top) - top
    return bits.astype(pixels.dtype)


def _check_shape(rows: int, columns: int, samples: int, pixels: PixelFormat) -> None:
    found = (rows, columns, samples)
    wanted = (pixels.rows, pixels.columns, pixels.samples)
    if found != wanted:
        raise MalformedError(
            f"the frame has rows, columns, samples {found}, its instance {wanted}"
        )
