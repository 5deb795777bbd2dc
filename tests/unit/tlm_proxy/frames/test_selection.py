import pytest

from isocenter.core.codestream import CodestreamError, Levels
from isocenter.tlm_proxy.errors import BadRequestError, LevelOutOfRangeError
from isocenter.tlm_proxy.frames.selection import Cut, LevelRange, cut, parse_levels

KNOWN = Levels(None, (100, 200, 400), complete=True)
SOME = Levels(None, (100, 200), complete=False)
NONE = Levels()


@pytest.mark.parametrize(
    ("start", "end", "asked"),
    [
        (None, None, None),
        ("", "", None),
        ("0", None, None),
        ("0", "0", LevelRange(0, 0)),
        (None, "2", LevelRange(0, 2)),
        ("1", None, LevelRange(1, None)),
        ("1", "", LevelRange(1, None)),
        ("2", "2", LevelRange(2, 2)),
    ],
)
def test_queries(start, end, asked):
    assert parse_levels(start, end) == asked


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("-1", None),
        ("x", None),
        (None, "1.5"),
        ("2", "1"),
        ("9" * 6, None),
        ("٣", None),
    ],
)
def test_queries_that_can_not_be_read(start, end):
    with pytest.raises(BadRequestError, match=r"startLevel|endLevel"):
        parse_levels(start, end)


@pytest.mark.parametrize(
    ("asked", "levels", "found"),
    [
        (LevelRange(0, 0), KNOWN, Cut(0, 100, final=True)),
        (LevelRange(0, 2), KNOWN, Cut(0, 400, final=True)),
        (LevelRange(1, 2), KNOWN, Cut(100, 400, final=True)),
        (LevelRange(2, 2), KNOWN, Cut(200, 400, final=True)),
        (LevelRange(1, 3), KNOWN, Cut(100, None, final=True)),
        (LevelRange(1, None), KNOWN, Cut(100, None, final=True)),
        (LevelRange(0, 1), SOME, Cut(0, 200, final=True)),
        (LevelRange(0, 2), SOME, Cut(0, 200, final=False)),
        (LevelRange(1, 7), SOME, Cut(100, 200, final=False)),
        (LevelRange(1, None), SOME, Cut(100, None, final=True)),
        (LevelRange(2, 2), SOME, None),
        (LevelRange(2, None), SOME, None),
        (LevelRange(0, 0), NONE, None),
    ],
)
def test_where_levels_lie(asked, levels, found):
    assert cut(asked, levels, 402) == found
    assert cut(asked, levels, None) == found


def test_a_level_past_the_last_is_refused():
    with pytest.raises(LevelOutOfRangeError, match="3 levels, 0 to 2"):
        cut(LevelRange(3, 3), KNOWN, 402)


def test_a_tile_part_past_the_frame_is_refused():
    with pytest.raises(CodestreamError, match="399 bytes"):
        cut(LevelRange(0, 0), KNOWN, 399)
