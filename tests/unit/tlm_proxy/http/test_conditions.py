"""Entity tags, conditions and ranges, from tables."""

import pytest

from isocenter.tlm_proxy.errors import RangeUnsatisfiableError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange, Reduce
from isocenter.tlm_proxy.http.conditions import byte_range, entity_tag, unchanged

KEY = FrameKey("eu-west-1", "d" * 32, "5" * 32, "a" * 32)
TAG = entity_tag(KEY, None, enveloped=False)


def test_every_selection_has_a_strong_tag_of_its_own():
    asked = [None, LevelRange(0, 1), LevelRange(0, None), LevelRange(1, 1)]
    asked += [Reduce(1), Reduce(2)]
    tags = {
        entity_tag(key, each, enveloped=enveloped)
        for key in (KEY, KEY._replace(frame_id="b" * 32))
        for each in asked
        for enveloped in (False, True)
    }
    assert len(tags) == 2 * len(asked) * 2
    for tag in tags:
        assert tag.startswith(b'"')
        assert tag.endswith(b'"')
        assert tag.count(b'"') == 2


@pytest.mark.parametrize(
    ("held", "same"),
    [
        (TAG, True),
        (b"W/" + TAG, True),
        (b'"other", ' + TAG, True),
        (b'"other",' + TAG + b',"more"', True),
        (b'"other"', False),
        (TAG[1:-1], False),
        (TAG[:-2] + b'"', False),
        (b"*", False),
        (b"", False),
    ],
)
def test_if_none_match(held, same):
    assert unchanged(held, TAG) is same


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (b"bytes=0-0", (0, 1)),
        (b"bytes=0-99", (0, 100)),
        (b"bytes=10-19", (10, 20)),
        (b"bytes=90-", (90, 100)),
        (b"bytes=90-1000", (90, 100)),
        (b"bytes=-10", (90, 100)),
        (b"bytes=-1000", (0, 100)),
        (b"Bytes= 1-2 ", (1, 3)),
        # Not to be obeyed: all of it is sent.
        (b"bytes=0-1,5-6", None),
        (b"bytes=5-4", None),
        (b"bytes=-", None),
        (b"bytes=a-b", None),
        (b"bytes", None),
        (b"lines=0-1", None),
        (b"bytes=0-" + b"9" * 40, None),
        (b"", None),
    ],
)
def test_ranges(asked, found):
    assert byte_range(asked, None, TAG, 100) == found


@pytest.mark.parametrize("asked", [b"bytes=100-", b"bytes=100-200", b"bytes=-0"])
def test_ranges_past_the_end(asked):
    with pytest.raises(RangeUnsatisfiableError) as caught:
        byte_range(asked, None, TAG, 100)
    assert caught.value.length == 100


def test_nothing_has_no_range():
    for asked in (b"bytes=0-", b"bytes=-1"):
        with pytest.raises(RangeUnsatisfiableError):
            byte_range(asked, None, TAG, 0)


@pytest.mark.parametrize(
    ("if_range", "found"),
    [
        (TAG, (0, 2)),
        # Weak tags and dates never match here (RFC 9110 section 13.1.5).
        (b"W/" + TAG, None),
        (b'"other"', None),
        (b"Mon, 23 Nov 2026 06:21:30 GMT", None),
    ],
)
def test_if_range(if_range, found):
    assert byte_range(b"bytes=0-1", if_range, TAG, 100) == found
