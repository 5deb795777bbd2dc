"""What goes out of a frame, decided: envelopes, ranges of them, headers."""

import pytest

from isocenter.tlm_proxy.errors import RangeUnsatisfiableError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange
from isocenter.tlm_proxy.http.envelope import Envelope
from isocenter.tlm_proxy.http.frame_outline import (
    FrameQuestion,
    outline,
    plain_headers,
)
from isocenter.tlm_proxy.http.hot import HotRequest

FRAME = bytes(range(100))
HEAD, TAIL = b"--b\r\n\r\n", b"\r\n--b--\r\n"
WHOLE = HEAD + FRAME[10:60] + TAIL


def around(media_type):
    return Envelope(f'multipart/related; type="{media_type}"', HEAD, TAIL)


def question(method="GET", *, enveloped=True, asked=None, **headers):
    sent = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"headers": sent, "query_string": b""}
    key = FrameKey("eu-west-1", "d" * 32, "5" * 32, "a" * 32)
    request = HotRequest(scope, None, method, ())
    return FrameQuestion(request, key, asked, around if enveloped else None)


def sent(out):
    return out.head + FRAME[out.start : out.stop] + out.tail


def test_an_envelope_has_an_exact_length():
    out = outline(question(), "image/jphc", 10, 60)
    assert sent(out) == WHOLE
    headers = dict(out.headers)
    assert headers[b"content-length"] == str(len(WHOLE)).encode()
    assert headers[b"content-type"] == b'multipart/related; type="image/jphc"'
    # Which frame an instance's number means may change: asked again in a while.
    assert headers[b"cache-control"] == b"private, max-age=3600"


def test_every_range_of_an_envelope():
    for first in range(len(WHOLE)):
        for last in {first, first + 3, len(WHOLE) - 1}:
            asked = question(range=f"bytes={first}-{last}")
            out = outline(asked, "image/jphc", 10, 60)
            wanted = WHOLE[first : last + 1]
            assert out.status == 206
            assert sent(out) == wanted
            assert dict(out.headers)[b"content-length"] == b"%d" % len(wanted)
    with pytest.raises(RangeUnsatisfiableError):
        outline(question(range=f"bytes={len(WHOLE)}-"), "image/jphc", 10, 60)


def test_without_a_length_there_is_no_range():
    out = outline(question(range="bytes=0-1"), "image/jphc", 10, None)
    assert out.status == 200
    assert not {b"content-length", b"content-range"} & set(dict(out.headers))


def test_a_post_has_neither_validator_nor_range():
    out = outline(
        question("POST", enveloped=False, range="bytes=0-1", if_none_match="*"),
        "image/jphc",
        0,
        100,
    )
    assert (out.status, sent(out)) == (200, FRAME)
    assert {name for name, _ in out.headers} == {
        b"content-type",
        b"x-content-type-options",
        b"content-length",
    }


@pytest.mark.parametrize("enveloped", [False, True])
@pytest.mark.parametrize("asked", [None, LevelRange(0, 1)])
def test_the_short_way_says_the_same(enveloped, asked):
    asking = question(enveloped=enveloped, asked=asked)
    headers = outline(asking, "image/jphc", 10, 60).headers
    found = dict(headers)
    written = plain_headers(
        found[b"content-type"].decode(),
        found[b"etag"],
        found[b"cache-control"],
        int(found[b"content-length"]),
    )
    assert written == b"".join(b"%b: %b\r\n" % pair for pair in headers)
