import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SegmentationStorage,
)

from isocenter.devcloud.healthimaging.transcode import (
    decompositions,
    encode,
    store_pixels,
)

ELE = "1.2.840.10008.1.2.1"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"


class Frames(dict):
    """A sink that keeps the stored frames by their id."""

    def __call__(self, stored):
        frame_id = f"{len(self):032x}"
        self[frame_id] = stored
        return frame_id


def stored(ds, storage_format="HTJ2K"):
    frames = Frames()
    uid = str(ds.file_meta.TransferSyntaxUID)
    pixels = store_pixels(ds, uid, storage_format, frames)
    return pixels, [frames[entry["ID"]] for entry in pixels.frames]


def parse(codestream):
    """(progression, decompositions, TLM lengths, [(Psot, TPsot)]) by the markers.

    ISO/IEC 15444-1 Annex A, read here on its own: a shared parser could share
    a defect with what it checks.
    """
    progression = levels = None
    lengths, parts, position = [], [], 2
    assert codestream[:2] == b"\xff\x4f"
    while codestream[position : position + 2] != b"\xff\xd9":
        marker, size = struct.unpack_from(">HH", codestream, position)
        body = codestream[position + 4 : position + 2 + size]
        if marker == 0xFF52:
            progression, levels = body[1], body[5]
        elif marker == 0xFF55:
            tile_bytes = (body[1] >> 4) & 3
            long = body[1] & 0x40
            entry = {0: "", 1: "B", 2: "H"}[tile_bytes] + ("I" if long else "H")
            lengths += [each[-1] for each in struct.iter_unpack(f">{entry}", body[2:])]
        elif marker == 0xFF90:
            _, psot, tpsot, _ = struct.unpack(">HIBB", body)
            parts.append((psot, tpsot))
            position += psot
            continue
        position += 2 + size
    return progression, levels, lengths, parts


@pytest.mark.parametrize(
    ("width", "height", "levels"),
    [
        (512, 512, 3),
        (640, 480, 3),
        (64, 64, 1),
        (5, 7, 1),
        (65, 4000, 1),
        (3062, 2394, 6),
    ],
)
def test_the_base_resolution_is_small_in_width_or_height(width, height, levels):
    assert decompositions(width, height) == levels
    base = min(-(-width >> levels), -(-height >> levels))
    assert base <= 64


@pytest.mark.parametrize(
    "shape", [(300, 200), (64, 64), (1, 1), (7, 130), (90, 150, 3)]
)
def test_a_frame_has_rpcl_tlm_and_a_tile_part_for_each_resolution(noise, shape):
    codestream = encode(noise(shape, "uint8"), "HTJ2K")
    progression, levels, lengths, parts = parse(codestream)
    assert progression == 2  # RPCL, ISO/IEC 15444-1 table A.16
    assert levels == decompositions(shape[1], shape[0])
    assert [number for _, number in parts] == list(range(levels + 1))
    assert lengths == [psot for psot, _ in parts]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((70, 90), "uint8"),
        ((70, 90), "int8"),
        ((70, 90), "uint16"),
        ((70, 90), "int16"),
        ((70, 90, 3), "uint8"),
        ((3, 40, 30), "int16"),
        ((1, 1), "uint16"),
    ],
)
@pytest.mark.parametrize("storage_format", ["HTJ2K", "JPEG_2000_LOSSLESS"])
def test_native_pixels_come_back_and_check(
    dataset, noise, shape, dtype, storage_format
):
    pixels = noise(shape, dtype)
    result, frames = stored(dataset(pixels), storage_format)
    expected = pixels if pixels.ndim == 3 and shape[-1] != 3 else pixels[None]
    decode = {
        "HTJ2K": imagecodecs.htj2k_decode,
        "JPEG_2000_LOSSLESS": imagecodecs.jpeg2k_decode,
    }[storage_format]
    assert result.transcoded
    assert result.warning is None
    assert len(frames) == len(expected)
    for entry, frame, original in zip(result.frames, frames, expected, strict=True):
        decoded = decode(frame)
        assert decoded.dtype == original.dtype
        assert np.array_equal(decoded, original)
        assert entry["MinPixelValue"] == original.min()
        assert entry["MaxPixelValue"] == original.max()
        assert entry["FrameSizeInBytes"] == len(frame)
        assert entry["PixelDataChecksumFromBaseToFullResolution"] == [
            {
                "Width": original.shape[1],
                "Height": original.shape[0],
                "Checksum": zlib.crc32(decoded.tobytes()),
            }
        ]


def test_the_stored_transfer_syntax_is_the_data_store_format(dataset, noise):
    ds = dataset(noise((8, 8), "uint8"))
    assert stored(ds)[0].transfer_syntax_uid == HTJ2K_RPCL
    lossless = stored(ds, "JPEG_2000_LOSSLESS")[0].transfer_syntax_uid
    assert lossless == JPEG2000Lossless


def test_big_endian_and_planar_samples_are_interleaved_little_endian(dataset, noise):
    pixels = noise((20, 30), "uint16")
    big = dataset(pixels, transfer_syntax_uid="1.2.840.10008.1.2.2")
    big.PixelData = pixels.astype(">u2").tobytes()
    assert np.array_equal(imagecodecs.htj2k_decode(stored(big)[1][0]), pixels)
    colour = noise((20, 30, 3), "uint8")
    planar = dataset(colour, PlanarConfiguration=1)
    planar.PixelData = np.moveaxis(colour, -1, 0).tobytes()
    assert np.array_equal(imagecodecs.htj2k_decode(stored(planar)[1][0]), colour)


@pytest.mark.parametrize(
    ("uid", "encoder"),
    [
        (
            JPEG2000Lossless,
            lambda a: imagecodecs.jpeg2k_encode(
                a, level=0, reversible=True, codecformat="J2K"
            ),
        ),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (
            "1.2.840.10008.1.2.4.201",
            lambda a: imagecodecs.htj2k_encode(a, reversible=True),
        ),
        (HTJ2K_RPCL, lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
    ],
)
def test_compressed_frames_are_transcoded(dataset, noise, uid, encoder):
    pixels = noise((2, 40, 50), "uint16")
    ds = dataset(pixels, transfer_syntax_uid=uid)
    ds.PixelData = encapsulate([bytes(encoder(each)) for each in pixels])
    ds["PixelData"].is_undefined_length = True
    result, frames = stored(ds)
    assert result.transfer_syntax_uid == HTJ2K_RPCL
    for frame, original in zip(frames, pixels, strict=True):
        assert np.array_equal(imagecodecs.htj2k_decode(frame), original)


def test_rle_is_transcoded(dataset, noise):
    pixels = noise((40, 50), "int16")
    ds = dataset(pixels)
    ds.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(imagecodecs.htj2k_decode(stored(ds)[1][0]), pixels)


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("uid", [JPEGBaseline8Bit, JPEG2000])
def test_retained_frames_are_kept_byte_for_byte(
    dataset, noise, uid, fragments, has_table
):
    encoder = (
        imagecodecs.jpeg_encode
        if uid == JPEGBaseline8Bit
        else imagecodecs.jpeg2k_encode
    )
    # Without a table, frames of several fragments can't be told apart.
    count = 1 if fragments > 1 and not has_table else 2
    originals = [bytes(encoder(each)) for each in noise((count, 40, 50), "uint8")]
    originals = [each + b"\0" * (len(each) % 2) for each in originals]
    ds = dataset(noise((len(originals), 40, 50), "uint8"), transfer_syntax_uid=uid)
    ds.PixelData = encapsulate(
        originals, fragments_per_frame=fragments, has_bot=has_table
    )
    result, frames = stored(ds)
    assert result.warning is None
    assert result.transfer_syntax_uid == uid
    assert not result.transcoded
    assert frames == originals
    entry = result.frames[0]
    assert entry["MinPixelValue"] is None
    assert entry["MaxPixelValue"] is None
    checksum = entry["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"]
    assert checksum == zlib.crc32(originals[0])


def test_a_video_is_one_frame(dataset, noise):
    ds = dataset(noise((5, 40, 50), "uint8"), transfer_syntax_uid=MPEG2MPML)
    ds.PixelData = encapsulate([b"video stream"], has_bot=False)
    result, frames = stored(ds)
    assert result.warning is None
    assert frames == [b"video stream"]


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (5, 7)])
def test_a_binary_segmentation_keeps_its_bits(dataset, rows, columns):
    bits = np.random.default_rng(3).integers(0, 2, (3, rows, columns), "uint8")
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds = dataset(
        bits,
        SOPClassUID=SegmentationStorage,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelData=packed + b"\0" * (len(packed) % 2),
    )
    result, frames = stored(ds)
    assert result.transfer_syntax_uid == ELE
    for frame, original in zip(frames, bits, strict=True):
        unpacked = np.unpackbits(np.frombuffer(frame, "uint8"), bitorder="little")
        assert np.array_equal(
            unpacked[: rows * columns].reshape(rows, columns), original
        )


@pytest.mark.parametrize(
    ("change", "code", "frames"),
    [
        ({"BitsAllocated": 32}, 45312, 1),
        ({"BitsStored": 20}, 45312, 1),
        ({"SamplesPerPixel": 2}, 45312, 1),
        ({"Rows": ...}, 45312, 1),
        ({"Rows": 16}, 45328, 0),
        ({"Rows": 4}, 45329, 0),
        ({"NumberOfFrames": 3}, 45329, 0),
        ({"PixelData": b"\0" * 100}, 45328, 0),
        ({"transfer_syntax_uid": "1.2.840.10008.1.2.8.1"}, 45344, 1),
        ({"transfer_syntax_uid": JPEG2000Lossless}, 45328, 0),
    ],
)
def test_pixels_that_do_not_fit_are_warned_of(dataset, noise, change, code, frames):
    ds = dataset(noise((8, 8), "uint16"), **change)
    result, kept = stored(ds)
    assert result.warning.to_dict()["warning_reason_code"] == code
    assert len(kept) == frames
    if frames:
        assert kept == [ds.PixelData]


@pytest.mark.parametrize(
    ("frames", "number", "damage", "code"),
    [
        (1, 10, None, 45329),
        (3, 2, None, 45329),
        (2, 2, lambda data: data[:8] + b"\x04" + data[9:], 45330),
        (2, 2, lambda data: data[:-30], 45312),
        (2, 2, lambda data: data[:60] + bytes(40) + data[100:], 45312),
    ],
)
def test_damaged_encapsulation(dataset, noise, frames, number, damage, code):
    pixels = noise((frames, 40, 50), "uint16")
    encoded = [
        bytes(imagecodecs.jpeg2k_encode(each, level=0, codecformat="J2K"))
        for each in pixels
    ]
    ds = dataset(pixels, transfer_syntax_uid=JPEG2000Lossless, NumberOfFrames=number)
    data = encapsulate(encoded)
    ds.PixelData = damage(data) if damage else data
    result, _ = stored(ds)
    assert result.warning.to_dict()["warning_reason_code"] == code


def test_float_pixels_are_kept_as_a_blob(dataset, noise):
    ds = dataset(noise((8, 8), "uint16"), PixelData=...)
    ds.FloatPixelData = np.ones((8, 8), "float32").tobytes()
    result, kept = stored(ds)
    assert result.warning.to_dict()["type"] == "TranscodingException"
    assert kept == [ds.FloatPixelData]


def test_no_pixels_no_frames(dataset):
    result, _ = stored(dataset())
    assert (result.transfer_syntax_uid, result.frames, result.warning) == (
        None,
        [],
        None,
    )


def test_the_splitting_agrees_with_pydicom(dataset, noise):
    pixels = noise((3, 40, 50), "uint8")
    frames = [bytes(imagecodecs.jpeg_encode(each)) for each in pixels]
    ds = dataset(pixels, transfer_syntax_uid=JPEGBaseline8Bit)
    ds.PixelData = encapsulate(frames)
    assert stored(ds)[1] == list(generate_frames(ds.PixelData, number_of_frames=3))
