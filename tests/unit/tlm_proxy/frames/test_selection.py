import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import HTJ2K

from isocenter.core.codestream import (
    Cod,
    CodestreamError,
    Levels,
    LevelScanner,
    MainHeader,
    NotACodestreamError,
    Siz,
    scan_levels,
)
from isocenter.tlm_proxy.errors import (
    BadRequestError,
    LevelOutOfRangeError,
    LevelsUnavailableError,
)
from isocenter.tlm_proxy.frames.selection import (
    WHOLE,
    Cut,
    LevelRange,
    Reduce,
    cut,
    needed_from,
    parse_selection,
)

KNOWN = Levels(None, (100, 200, 400), complete=True)
SOME = Levels(None, (100, 200), complete=False)
NONE = Levels()
BROKEN = CodestreamError("broken", offset=7)
FOREIGN = NotACodestreamError("no SOC", offset=0)


@pytest.mark.parametrize(
    ("start", "end", "reduce", "asked"),
    [
        (None, None, None, None),
        ("", "", "", None),
        ("0", None, None, None),
        ("0", "0", None, LevelRange(0, 0)),
        (None, "2", None, LevelRange(0, 2)),
        ("1", None, None, LevelRange(1, None)),
        ("1", "", "", LevelRange(1, None)),
        ("2", "2", None, LevelRange(2, 2)),
        (None, None, "2", Reduce(2)),
        ("", "", "99999", Reduce(99999)),
        (None, None, "0", None),
    ],
)
def test_queries(start, end, reduce, asked):
    assert parse_selection(start, end, reduce) == asked


@pytest.mark.parametrize(
    ("start", "end", "reduce"),
    [
        ("-1", None, None),
        ("x", None, None),
        (None, "1.5", None),
        ("2", "1", None),
        ("9" * 6, None, None),
        ("٣", None, None),
        (None, None, "half"),
        (None, None, "-1"),
        ("0", None, "1"),
        (None, "0", "0"),
    ],
)
def test_queries_that_can_not_be_read(start, end, reduce):
    with pytest.raises(BadRequestError, match=r"startLevel|endLevel|reduce"):
        parse_selection(start, end, reduce)


def levels(asked, start, stop, *, final=True):
    return Cut(start, stop, final, asked)


@pytest.mark.parametrize(
    ("asked", "known", "found"),
    [
        (None, NONE, WHOLE),
        (None, BROKEN, WHOLE),
        (LevelRange(0, 0), KNOWN, (0, 100, True)),
        (LevelRange(0, 2), KNOWN, (0, 400, True)),
        (LevelRange(1, 2), KNOWN, (100, 400, True)),
        (LevelRange(2, 2), KNOWN, (200, 400, True)),
        (LevelRange(1, 3), KNOWN, (100, None, True)),
        (LevelRange(1, None), KNOWN, (100, None, True)),
        (LevelRange(0, 1), SOME, (0, 200, True)),
        (LevelRange(0, 2), SOME, (0, 200, False)),
        (LevelRange(1, 7), SOME, (100, 200, False)),
        (LevelRange(1, None), SOME, (100, None, True)),
        (LevelRange(2, 2), SOME, None),
        (LevelRange(2, None), SOME, None),
        (LevelRange(0, 0), NONE, None),
    ],
)
def test_where_levels_lie(asked, known, found):
    for size in (402, None):
        place = cut(asked, known, size)
        assert (place and place[:3]) == (found and found[:3])
        assert place is None or place == WHOLE or place.asked == asked


def test_to_the_end_of_all_levels_is_the_whole():
    assert cut(LevelRange(0, 9), KNOWN, 402) == WHOLE


def test_a_level_past_the_last_is_refused():
    with pytest.raises(LevelOutOfRangeError, match="3 levels, 0 to 2"):
        cut(LevelRange(3, 3), KNOWN, 402)


def test_a_tile_part_past_the_frame_is_refused():
    with pytest.raises(CodestreamError, match="399 bytes"):
        cut(LevelRange(0, 0), KNOWN, 399)


def test_levels_of_what_has_none():
    with pytest.raises(LevelsUnavailableError, match="without startLevel"):
        cut(LevelRange(0, 0), FOREIGN, 402)
    with pytest.raises(CodestreamError, match="broken"):
        cut(LevelRange(0, 0), BROKEN, 402)


@pytest.mark.parametrize("known", [FOREIGN, BROKEN, KNOWN])
def test_reduce_gives_the_whole_where_nothing_else_is_known_to_do(known):
    assert cut(Reduce(1), known, 402) == WHOLE


@pytest.mark.parametrize(
    ("asked", "known", "offset"),
    [
        (None, SOME, 0),
        (Reduce(3), SOME, 0),
        (LevelRange(0, 3), SOME, 0),
        (LevelRange(1, 3), SOME, 100),
        (LevelRange(2, 3), SOME, 200),
        (LevelRange(7, 8), SOME, 200),
        (LevelRange(7, 8), NONE, 0),
        (LevelRange(1, 2), BROKEN, 0),
    ],
)
def test_what_is_not_needed_whatever_comes(asked, known, offset):
    assert needed_from(asked, known) == offset


@pytest.mark.parametrize("tlm", [True, False])
@pytest.mark.parametrize("resolutions", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((180, 220), np.uint16), ((70, 90, 3), np.uint8)]
)
def test_reduced_prefixes_decode_at_their_resolution(
    encode, tlm, resolutions, shape, dtype
):
    body = encode(tlm=tlm, resolutions=resolutions, shape=shape, dtype=dtype)
    known = scan_levels(body)
    assert known.header.cod.decompositions == resolutions
    for n in range(resolutions + 3):
        place = cut(Reduce(n), known, len(body))
        prefix = body[: place.stop]
        skip = min(n, resolutions)
        assert np.array_equal(
            imagecodecs.htj2k_decode(prefix, skipres=skip),
            imagecodecs.htj2k_decode(body, skipres=skip),
        )
        if skip == 0:
            assert place == WHOLE
        else:
            assert place.stop == known.ends[resolutions - skip]


@pytest.mark.parametrize(
    "layout",
    [
        {"parts": None},
        {"parts": HTJ2K.TILEPART.COMPONENTS},
        {"tile": (64, 64)},
        {"tile": (64, 64), "parts": None},
    ],
)
@pytest.mark.parametrize("tlm", [True, False])
def test_tile_parts_that_are_not_resolutions_give_the_whole(encode, layout, tlm):
    body = encode(tlm=tlm, resolutions=2, shape=(100, 90, 3), dtype=np.uint8, **layout)
    for n in (1, 2, 3):
        assert cut(Reduce(n), scan_levels(body), len(body)) == WHOLE


@pytest.mark.parametrize("progression", [0, 3, 4])
def test_another_progression_gives_the_whole(htj2k, progression):
    at = htj2k.index(b"\xff\x52")
    body = htj2k[: at + 5] + bytes([progression]) + htj2k[at + 6 :]
    assert cut(Reduce(2), scan_levels(body), len(body)) == WHOLE
    body = htj2k[: at + 5] + bytes([1]) + htj2k[at + 6 :]
    assert cut(Reduce(2), scan_levels(body), len(body)) != WHOLE


@pytest.mark.parametrize("marker", [b"\xff\x53", b"\xff\x5f"])
def test_a_coding_style_with_exceptions_gives_the_whole(htj2k, marker):
    at = htj2k.index(b"\xff\x52")
    end = at + 2 + int.from_bytes(htj2k[at + 2 : at + 4], "big")
    body = htj2k[:end] + marker + b"\x00\x04ab" + htj2k[end:]
    known = scan_levels(body)
    assert not known.header.uniform
    assert cut(Reduce(2), known, len(body)) == WHOLE


def test_a_frame_of_one_resolution_is_passed_whole():
    siz = Siz(8, 8, components=1, bit_depth=8, signed=False, tiles=1)
    cod = Cod("RPCL", 1, decompositions=0, high_throughput=True, reversible=True)
    known = Levels(MainHeader(90, siz, cod, None), (100,), complete=True, parts=1)
    assert known.resolutions() == 1
    assert cut(Reduce(1), known, 102) == WHOLE


def test_jpeg_2000_of_another_encoder_is_passed_whole(image):
    body = imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k")
    assert cut(Reduce(1), scan_levels(body), len(body)) == WHOLE


@pytest.mark.parametrize("tlm", [True, False])
def test_a_reduced_cut_is_known_as_soon_as_it_can_be(encode, tlm):
    body = encode(tlm=tlm)
    whole = scan_levels(body)
    scanner = LevelScanner()
    found_at = None
    for at in range(len(body)):
        scanner.feed(body[at : at + 1])
        if cut(Reduce(2), scanner.levels, len(body)) is not None:
            found_at = at + 1
            break
    # With TLM at the main header's end, else with the SOT of its last tile-part.
    assert found_at == (whole.header.length + 2 if tlm else whole.ends[1] + 12)


@given(
    ends=st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True),
    start=st.integers(0, 9),
    length=st.integers(0, 9) | st.none(),
)
def test_a_cut_while_arriving_is_a_prefix_of_the_final_one(ends, start, length):
    ends = tuple(sorted(ends))
    asked = LevelRange(start, None if length is None else start + length)
    size = ends[-1] + 2
    try:
        final = cut(asked, Levels(None, ends, complete=True), size)
    except LevelOutOfRangeError:
        final = None
    for known in range(len(ends) + 1):
        so_far = Levels(None, ends[:known], complete=False)
        place = cut(asked, so_far, size)
        assert needed_from(asked, so_far) <= (size if final is None else final.start)
        if place is not None:
            assert final is not None
            assert place.start == final.start
            stop = size if final.stop is None else final.stop
            if place.final:
                assert (size if place.stop is None else place.stop) == stop
            else:
                assert place.stop <= stop
