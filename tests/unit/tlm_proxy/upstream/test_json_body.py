"""JSON, inflated, within a limit."""

import gzip
import json
import os
import tracemalloc

import pytest

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.errors import AnswerTooLargeError
from isocenter.tlm_proxy.upstream.json_body import Inflating

DOCUMENT = [{"00100020": {"vr": "LO", "Value": ["x" * 500]}}] * 20
TEXT = json.dumps(DOCUMENT).encode()


def read(body, step, limit=1 << 20):
    inflating = Inflating(limit, "it")
    for start in range(0, len(body), step):
        inflating.feed(body[start : start + step])
    return inflating.document()


@pytest.mark.parametrize("step", [1, 2, 3, 1000, 1 << 20])
@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        gzip.compress(TEXT),
        # several members, as appended files have
        gzip.compress(TEXT[:777]) + gzip.compress(TEXT[777:]),
    ],
    ids=["plain", "gzip", "members"],
)
def test_documents(body, step):
    assert read(body, step) == DOCUMENT


@pytest.mark.parametrize("body", [b"1", b" 1", b"[]", b"{}"], ids=str)
def test_short_ones(body):
    assert read(body, 1) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"{",
        b"<html>",
        b"\xff\xfe\xfd",
        b"[" * 100_000,
        gzip.compress(b"{"),
        gzip.compress(TEXT)[:-9],
        gzip.compress(TEXT)[:3],
        b"\x1f\x8b" + os.urandom(100),
        gzip.compress(TEXT) + b"rest",
    ],
    # Not by their bytes: gzip's have the time in them, which pytest-xdist's
    # processes do not agree on.
    ids=[
        "nothing",
        "letter",
        "brace",
        "html",
        "no utf-8",
        "nested",
        "gzip of a brace",
        "gzip cut",
        "gzip's head",
        "gzip of noise",
        "gzip and more",
    ],
)
@pytest.mark.parametrize("step", [7, 1 << 20])
def test_what_is_not_json(body, step):
    with pytest.raises(MalformedError, match=r"^it is "):
        read(body, step)


@pytest.mark.parametrize("body", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_the_limit_is_on_what_is_inflated(body):
    assert read(body, 100, limit=len(TEXT)) == DOCUMENT
    with pytest.raises(AnswerTooLargeError, match="raise TLM_PROXY"):
        read(body, 100, limit=len(TEXT) - 1)


def test_a_bomb_is_not_inflated():
    bomb = gzip.compress(b"0" * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLargeError):
            read(bomb, 1 << 20, limit=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
