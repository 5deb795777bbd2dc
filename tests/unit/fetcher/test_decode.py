import io
from dataclasses import replace

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image

from isocenter.core.errors import MalformedError
from isocenter.core.testing.image_sets import (
    EXPLICIT_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    encode,
)
from isocenter.fetcher.decode import decode, is_decodable
from isocenter.fetcher.pixels import PixelFormat, photometric

RNG = np.random.default_rng(3)


def described(frame, *, stored=None, **more):
    bits = 8 * frame.dtype.itemsize
    samples = frame.shape[2] if frame.ndim == 3 else 1
    return PixelFormat(
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples=samples,
        bits_allocated=bits,
        bits_stored=stored or bits,
        signed=frame.dtype.kind == "i",
        photometric="MONOCHROME2",
        **more,
    )


@pytest.mark.parametrize(
    ("dtype", "low", "high", "precision"),
    [
        (np.uint8, 0, 256, 8),
        (np.int8, -128, 128, 8),
        (np.uint16, 0, 4096, 12),
        (np.uint16, 0, 200, 8),
        (np.int16, -2048, 2048, 12),
        (np.int16, -128, 128, 8),
        (np.int16, -32768, 32768, 16),
        (np.uint32, 0, 2**20, 20),
    ],
)
def test_every_precision_gets_its_container(dtype, low, high, precision):
    frame = RNG.integers(low, high, (40, 36), dtype=np.int64).astype(dtype)
    stream = bytes(encode_array(frame, bits_stored=precision))
    values = decode(stream, JPEG_2000_LOSSLESS, described(frame, stored=precision))
    assert values.dtype == dtype
    assert np.array_equal(values, frame)


@pytest.mark.parametrize("sign", ["data set", "codestream"])
def test_the_data_set_decides_on_the_sign(sign):
    signed = RNG.integers(-2048, 2048, (40, 36), dtype=np.int16)
    raw = (signed & 0xFFF).astype(np.uint16)
    coded, wanted = (raw, signed) if sign == "data set" else (signed, raw)
    stream = bytes(encode_array(coded, bits_stored=12))
    values = decode(stream, JPEG_2000_LOSSLESS, described(wanted, stored=12))
    assert values.dtype == wanted.dtype
    assert np.array_equal(values, wanted)


def test_colour_is_interleaved():
    frame = RNG.integers(0, 256, (40, 36, 3), dtype=np.uint8)
    values = decode(
        encode(frame, JPEG_2000_LOSSLESS), JPEG_2000_LOSSLESS, described(frame)
    )
    assert np.array_equal(values, frame)
    planes = np.moveaxis(frame, -1, 0).tobytes()
    values = decode(planes, EXPLICIT_LITTLE_ENDIAN, described(frame, planar=True))
    assert values.flags.c_contiguous
    assert np.array_equal(values, frame)


@pytest.mark.parametrize("shape", [(40, 36), (40, 36, 3)])
def test_jpeg_baseline(shape):
    frame = np.full(shape, 90, np.uint8)
    stored = encode(frame, JPEG_BASELINE)
    values = decode(stored, JPEG_BASELINE, described(frame))
    assert values.shape == shape
    assert np.abs(values.astype(int) - 90).max() <= 2


def test_single_bits_become_bytes():
    mask = RNG.integers(0, 2, (5, 7), dtype=np.uint8)
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    pixels = replace(described(mask), bits_allocated=1, bits_stored=1)
    for stored in (packed, packed + b"\0"):
        values = decode(stored, EXPLICIT_LITTLE_ENDIAN, pixels)
        assert values.dtype == np.uint8
        assert np.array_equal(values, mask)


FRAME = np.zeros((40, 36), np.uint16)
STREAM = encode(FRAME, JPEG_2000_LOSSLESS)
JPEG = encode(np.zeros((40, 36), np.uint8), JPEG_BASELINE)


@pytest.mark.parametrize(
    ("stored", "syntax", "pixels", "words"),
    [
        (b"", JPEG_2000_LOSSLESS, described(FRAME), "does not decode"),
        (b"\xff\x4f\xff\x51", JPEG_2000_LOSSLESS, described(FRAME), "does not decode"),
        (STREAM[:100], HTJ2K_LOSSLESS_RPCL, described(FRAME), "does not decode"),
        (STREAM, JPEG_2000_LOSSLESS, described(FRAME.T), "its instance"),
        (STREAM, JPEG_2000_LOSSLESS, described(FRAME.astype("u1")), "16 bits a sample"),
        (b"\0" * 9, EXPLICIT_LITTLE_ENDIAN, described(FRAME), "should have 2880"),
        (b"\0" * 2881, EXPLICIT_LITTLE_ENDIAN, described(FRAME), "should have 2880"),
        (JPEG[:200], JPEG_BASELINE, described(FRAME.astype("u1")), "does not decode"),
        (b"nothing", JPEG_BASELINE, described(FRAME.astype("u1")), "does not decode"),
        (JPEG, JPEG_BASELINE, described(FRAME), "JPEG baseline has 8"),
        (JPEG, JPEG_BASELINE, described(np.zeros((40, 36, 3), "u1")), "its instance"),
    ],
)
def test_what_does_not_fit_is_an_error(stored, syntax, pixels, words):
    with pytest.raises(MalformedError, match=words):
        decode(stored, syntax, pixels)


@pytest.mark.parametrize(
    ("syntax", "known"),
    [
        ("1.2.840.10008.1.2.1", True),
        ("1.2.840.10008.1.2.4.50", True),
        ("1.2.840.10008.1.2.4.91", True),
        ("1.2.840.10008.1.2.4.203", True),
        ("1.2.840.10008.1.2.4.112", False),
        ("1.2.840.10008.1.2.4.102", False),
        ("", False),
    ],
)
def test_decodable(syntax, known):
    assert is_decodable(syntax) == known


@pytest.mark.parametrize(
    ("syntax", "said", "samples", "decoded"),
    [
        (JPEG_BASELINE, "YBR_FULL_422", 3, "RGB"),
        (JPEG_BASELINE, "MONOCHROME1", 1, "MONOCHROME1"),
        (JPEG_2000_LOSSLESS, "YBR_RCT", 3, "RGB"),
        (JPEG_2000_LOSSLESS, "YBR_FULL", 3, "YBR_FULL"),
        (HTJ2K_LOSSLESS_RPCL, "", 1, None),
    ],
)
def test_photometric(syntax, said, samples, decoded):
    pixels = PixelFormat(1, 1, samples, 8, 8, signed=False, photometric=said)
    assert photometric(syntax, pixels) == decoded


def plain_rgb(frame, *, markers):
    """A JPEG whose three components are R, G and B as they are."""
    stream = io.BytesIO()
    # Saved "as YCbCr", the samples stay what they are.
    Image.frombytes("YCbCr", frame.shape[1::-1], frame.tobytes()).save(
        stream, "JPEG", quality=100, subsampling=0
    )
    jpeg = stream.getvalue()
    app0 = jpeg.index(b"\xff\xe0")
    length = int.from_bytes(jpeg[app0 + 2 : app0 + 4], "big")
    return jpeg if markers else jpeg[:app0] + jpeg[app0 + 2 + length :]


def test_jpeg_without_a_marker_is_rgb_if_the_data_set_says_so():
    frame = np.full((40, 36, 3), (200, 60, 20), np.uint8)
    rgb = replace(described(frame), photometric="RGB")
    values = decode(plain_rgb(frame, markers=False), JPEG_BASELINE, rgb)
    assert np.abs(values.astype(int) - frame).max() <= 3
    # The stream's own word counts more than the data set's.
    values = decode(plain_rgb(frame, markers=True), JPEG_BASELINE, rgb)
    assert np.abs(values.astype(int) - frame).max() > 50


def test_jpeg_whose_components_are_named_rgb_is_not_converted():
    frame = np.full((40, 36, 3), (200, 60, 20), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=100, keep_rgb=True)
    jpeg = stream.getvalue()
    at = jpeg.index(b"\xff\xee")
    bare = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]
    for stored in (jpeg, bare):
        values = decode(
            stored, JPEG_BASELINE, replace(described(frame), photometric="RGB")
        )
        assert np.abs(values.astype(int) - frame).max() <= 3


def test_a_codec_that_answers_another_shape_is_not_believed(monkeypatch):
    """Its values would land in the neighbouring slices."""
    monkeypatch.setattr(
        "isocenter.fetcher.decode.openjpeg.decode",
        lambda _: np.zeros((40, 36, 3), np.uint16),
    )
    with pytest.raises(MalformedError, match="decodes to"):
        decode(STREAM, JPEG_2000_LOSSLESS, described(FRAME))
