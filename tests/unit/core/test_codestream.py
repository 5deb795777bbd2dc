"""Levels of codestreams that OpenJPH and OpenJPEG wrote, and of broken ones."""

import struct

import imagecodecs
import numpy as np
import pytest
from imagecodecs import HTJ2K

from isocenter.core.codestream import (
    CodestreamError,
    Levels,
    LevelScanner,
    NotACodestreamError,
    scan_levels,
)

PART = HTJ2K.TILEPART.RESOLUTIONS


def picture(shape=(160, 200), dtype=np.uint16, components=0):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = (x * 3 + y * 5 + rng.integers(0, 9, shape)).astype(dtype)
    return np.stack([image] * components, -1) if components else image


def htj2k(image=None, *, tlm=True, resolutions=4, tilepart=PART):
    image = picture() if image is None else image
    return imagecodecs.htj2k_encode(
        image, resolutions=resolutions, reversible=True, tlm=tlm, tilepart=tilepart
    )


def sots(codestream):
    """Offsets of SOT by looking for its first four bytes: no parser of ours."""
    found, at = [], codestream.find(b"\xff\x90\x00\x0a")
    while at >= 0:
        found.append(at)
        length = int.from_bytes(codestream[at + 6 : at + 10], "big")
        at = codestream.find(b"\xff\x90\x00\x0a", at + max(length, 1))
    return found


def segment(marker, body):
    return struct.pack(">HH", marker, len(body) + 2) + body


def siz(width=8, height=8, *, x0=0, y0=0, tile=(8, 8), components=1, depth=7):
    head = struct.pack(">HIIIIIIIIH", 0, width, height, x0, y0, *tile, 0, 0, components)
    return segment(0xFF51, head + bytes([depth, 1, 1]) * components)


COD = segment(0xFF52, bytes([0, 2, 0, 1, 0, 2, 4, 4, 0x40, 1]))


def tile_part(part, payload, *, length=None, parts=0):
    length = 14 + len(payload) if length is None else length
    return struct.pack(">HHHIBBH", 0xFF90, 10, 0, length, part, parts, 0xFF93) + payload


def tlm(*lengths, index=0, stlm=0x60):
    tile_bytes = {0: 0, 1: 1, 2: 2}[(stlm >> 4) & 3]
    size = 4 if stlm & 0x40 else 2
    entries = b"".join(bytes(tile_bytes) + n.to_bytes(size, "big") for n in lengths)
    return segment(0xFF55, bytes([index, stlm]) + entries)


def stream(*parts, header=b"", eoc=b"\xff\xd9"):
    return b"\xff\x4f" + siz() + COD + header + b"".join(parts) + eoc


HEADER = len(stream(eoc=b""))
SIZ_END = 2 + len(siz())


@pytest.mark.parametrize("with_tlm", [True, False])
@pytest.mark.parametrize("resolutions", [1, 4])
def test_ends_are_those_of_the_tile_parts(with_tlm, resolutions):
    codestream = htj2k(tlm=with_tlm, resolutions=resolutions)
    starts = sots(codestream)
    levels = scan_levels(codestream)
    assert levels.ends == (*starts[1:], len(codestream) - 2)
    assert len(levels.ends) == resolutions + 1
    assert levels.complete
    assert levels.header.length == starts[0]
    assert (levels.header.tile_part_lengths is not None) == with_tlm


def test_the_header_says_what_was_encoded():
    header = scan_levels(htj2k(picture((96, 130), np.uint8, components=3))).header
    assert (header.siz.width, header.siz.height) == (130, 96)
    assert (header.siz.components, header.siz.bit_depth, header.siz.signed) == (
        3,
        8,
        False,
    )
    assert header.siz.tiles == 1
    assert (header.cod.progression, header.cod.decompositions) == ("RPCL", 4)
    assert header.cod.high_throughput
    assert header.cod.reversible
    signed = scan_levels(htj2k(picture(dtype=np.int16))).header.siz
    assert (signed.signed, signed.bit_depth) == (True, 16)


def test_tlm_tells_all_ends_from_the_main_header_alone():
    codestream = htj2k()
    scanner = LevelScanner()
    scanner.feed(codestream[: sots(codestream)[0] + 1])
    assert scanner.levels == Levels()
    scanner.feed(codestream[sots(codestream)[0] + 1 : sots(codestream)[0] + 2])
    assert scanner.levels.complete
    assert scanner.levels.ends == scan_levels(codestream).ends


def test_without_tlm_an_end_is_known_once_its_sot_is_here():
    codestream = htj2k(tlm=False)
    ends = scan_levels(codestream).ends
    for number, start in enumerate(sots(codestream)):
        scanner = LevelScanner()
        scanner.feed(codestream[: start + 11])
        assert scanner.levels.ends == ends[:number]
        scanner.feed(codestream[start + 11 : start + 12])
        assert scanner.levels.ends == ends[: number + 1]
        assert not scanner.levels.complete


@pytest.mark.parametrize("with_tlm", [True, False])
@pytest.mark.parametrize("step", [1, 3, 11, 12, 13, 4096])
def test_pieces_of_any_size_give_the_same(with_tlm, step):
    codestream = htj2k(picture((70, 90)), tlm=with_tlm)
    scanner = LevelScanner()
    for at in range(0, len(codestream), step):
        scanner.feed(codestream[at : at + step])
    assert scanner.finish() == scan_levels(codestream)


def test_every_prefix_decodes_as_its_resolution_of_the_whole():
    image = picture()
    codestream = htj2k(image)
    ends = scan_levels(codestream).ends
    for level, end in enumerate(ends):
        skip = len(ends) - 1 - level
        part = imagecodecs.htj2k_decode(codestream[:end], skipres=skip)
        whole = imagecodecs.htj2k_decode(codestream, skipres=skip)
        assert part.shape == tuple(-(-side // 2**skip) for side in image.shape)
        assert np.array_equal(part, whole)
    assert np.array_equal(part, image)


def test_how_many_tile_parts_there_will_be():
    for with_tlm in (True, False):
        codestream = htj2k(tlm=with_tlm)
        scanner = LevelScanner()
        # With TLM the main header says it, else the first SOT (TNsot).
        known = sots(codestream)[0] + (2 if with_tlm else 12)
        scanner.feed(codestream[: known - 1])
        assert scanner.levels.parts is None
        assert scanner.levels.resolutions() is None
        scanner.feed(codestream[known - 1 : known])
        assert scanner.levels.parts == 5
        assert scanner.levels.resolutions() == 5
    # No TNsot, or one tile of several: known at the end.
    scanner = LevelScanner()
    scanner.feed(stream(tile_part(0, b"abc"), tile_part(1, b"d"), eoc=b""))
    assert scanner.levels.parts is None
    assert scanner.finish().parts == 2
    tiles = b"\xff\x4f" + siz(tile=(4, 8)) + COD
    scanner.feed(tiles)
    scanner = LevelScanner()
    scanner.feed(tiles + tile_part(0, b"abc", parts=1))
    assert scanner.levels.parts is None
    assert scanner.levels.resolutions() == 0


def with_byte(codestream, marker, offset, value):
    at = codestream.index(marker) + offset
    return codestream[:at] + bytes([value]) + codestream[at + 1 :]


@pytest.mark.parametrize(
    ("codestream", "resolutions"),
    [
        (htj2k(), 5),
        (htj2k(resolutions=1), 2),
        (htj2k(tilepart=None), 0),
        (with_byte(htj2k(), b"\xff\x52", 5, 0), 0),
        (with_byte(htj2k(), b"\xff\x52", 5, 1), 5),
        (with_byte(htj2k(), b"\xff\x52", 5, 3), 0),
        # COC and POC: what COD says doesn't hold for all of it
        (stream(*(tile_part(n, b"a") for n in range(3))), 3),
        (
            stream(
                *(tile_part(n, b"a") for n in range(3)),
                header=segment(0xFF53, b"\0\0\2\4\4\0\1"),
            ),
            0,
        ),
        (
            stream(
                *(tile_part(n, b"a") for n in range(3)),
                header=segment(0xFF5F, b"\0\0\0\1\3\1\2"),
            ),
            0,
        ),
        (stream(*(tile_part(n, b"a") for n in range(4))), 0),
    ],
)
def test_tile_parts_are_resolutions_only_if_all_says_so(codestream, resolutions):
    assert scan_levels(codestream).resolutions() == resolutions


def test_jpeg_2000_of_another_encoder_is_one_level():
    codestream = imagecodecs.jpeg2k_encode(picture(), level=0, codecformat="j2k")
    levels = scan_levels(codestream)
    assert levels.ends == (len(codestream) - 2,)
    assert not levels.header.cod.high_throughput


@pytest.mark.parametrize(
    ("codestream", "ends"),
    [
        # Psot = 0 reaches to EOC, or to the end without one
        (stream(tile_part(0, b"abc", length=0)), (HEADER + 17,)),
        (stream(tile_part(0, b"abc", length=0), eoc=b""), (HEADER + 17,)),
        (
            stream(tile_part(0, b"abc"), tile_part(1, b"d", length=0)),
            (HEADER + 17, HEADER + 32),
        ),
        # no EOC, and padding after it (PS3.5 A.4: even length)
        (stream(tile_part(0, b"abc"), eoc=b""), (HEADER + 17,)),
        (stream(tile_part(0, b"abc"), eoc=b"\xff\xd9\0"), (HEADER + 17,)),
        # the shortest tile-part
        (stream(tile_part(0, b"")), (HEADER + 14,)),
        # TLM in each of its forms: 2 or 4 bytes of Ptlm, 0 to 2 of Ttlm
        *(
            (
                stream(
                    tile_part(0, b"a"), tile_part(1, b"bc"), header=tlm(15, 16, stlm=s)
                ),
                (HEADER + size + 21, HEADER + size + 37),
            )
            for s, size in ((0x00, 4), (0x10, 6), (0x20, 8), (0x40, 8), (0x50, 10))
        ),
        # several TLM are one list in the order of Ztlm
        (
            stream(
                tile_part(0, b"a"),
                tile_part(1, b"bc"),
                header=tlm(16, index=1) + tlm(15, index=0),
            ),
            (HEADER + 24 + 15, HEADER + 24 + 31),
        ),
        # a marker without a segment, and an unknown one with one
        (
            stream(
                tile_part(0, b"a"), header=b"\xff\x30" + segment(0xFF6F, b"whatever")
            ),
            (HEADER + 14 + 15,),
        ),
    ],
)
def test_ends_of_hand_made_codestreams(codestream, ends):
    assert scan_levels(codestream).ends == ends


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff\xe0", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x52", b"z"]
)
def test_other_formats_are_told_from_broken_codestreams(data):
    with pytest.raises(NotACodestreamError):
        scan_levels(data)


@pytest.mark.parametrize(
    ("codestream", "offset", "text"),
    [
        (b"", 0, "ends within the main header"),
        (b"\xff\x4f" + siz(), SIZ_END, "ends within the main header"),
        (b"\xff\x4f" + siz(components=0), 2, "0 components"),
        (b"\xff\x4f" + siz(width=0), 2, "empty image"),
        (b"\xff\x4f" + siz(x0=8), 2, "empty image"),
        (b"\xff\x4f" + siz(tile=(0, 8)), 2, "tile grid"),
        (b"\xff\x4f" + siz(x0=1, width=20, tile=(1, 1)), 2, "tile grid"),
        (b"\xff\x4f" + segment(0xFF51, b"short"), 2, "too short"),
        (b"\xff\x4f" + siz() + siz(), SIZ_END, "second SIZ"),
        (b"\xff\x4f" + siz() + tile_part(0, b""), SIZ_END, "before SIZ and COD"),
        (b"\xff\x4f" + siz() + segment(0xFF52, b"123"), SIZ_END, "COD of 3 bytes"),
        (b"\xff\x4f" + siz() + b"\xff\x52\x00\x01", SIZ_END, "length 1"),
        (stream(header=COD), HEADER, "second COD"),
        (stream(header=b"\xff\x93"), HEADER, "0xFF93 in the main header"),
        (stream(header=b"\x12\x34"), HEADER, "0x1234 in the main header"),
        (stream(header=tlm(13)), HEADER, "tile-part of 13"),
        (stream(header=segment(0xFF55, b"\0\x70")), HEADER, "illegal size"),
        (stream(header=segment(0xFF55, b"\0\x40abc")), HEADER, "within an entry"),
        (stream(header=segment(0xFF55, b"\0")), HEADER, "too short"),
        (stream(header=tlm(14) + tlm(14)), HEADER + 12, "second TLM"),
        (stream(), HEADER, "0xFFD9 in the main header"),
        (stream(tile_part(0, b"", length=13)), HEADER, "tile-part of 13"),
        (
            stream(tile_part(0, b"abc", length=900)),
            HEADER + 19,
            "ends within tile-part 0",
        ),
        (stream(tile_part(0, b"abc", length=16)), HEADER + 16, "SOT or EOC expected"),
        (stream(tile_part(0, b"abc"), b"zz"), HEADER + 17, "SOT or EOC expected"),
        (
            stream(tile_part(0, b"abc"), b"\xff\x90\0\x0b" + bytes(8)),
            HEADER + 17,
            "length is not 10",
        ),
        (stream(tile_part(0, b"a"), b"\xff\x90\0\x0a", eoc=b""), None, "within SOT"),
        (stream(tile_part(0, b"a"), header=tlm(16)), None, "disagree"),
        (stream(tile_part(0, b"a"), header=tlm(15, 15)), None, "not there"),
        (
            stream(tile_part(0, b"a"), tile_part(1, b"b"), header=tlm(15)),
            None,
            "disagree",
        ),
    ],
)
def test_malformed_codestreams_are_refused_with_the_offset(codestream, offset, text):
    with pytest.raises(CodestreamError, match=text) as caught:
        scan_levels(codestream)
    assert not isinstance(caught.value, NotACodestreamError)
    assert f"byte {caught.value.offset}:" in str(caught.value)
    if offset is not None:
        assert caught.value.offset == offset


def test_an_endless_main_header_is_given_up():
    scanner = LevelScanner()
    scanner.feed(b"\xff\x4f" + siz() + COD)
    comments = segment(0xFF64, bytes(65_000)) * 70
    with pytest.raises(CodestreamError, match="main header over"):
        scanner.feed(comments)
