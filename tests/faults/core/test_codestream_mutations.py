"""Codestreams with flipped, cut, doubled and foreign bytes: an answer or a
CodestreamError, the same however the bytes arrive, never another exception."""

import os
import random

import imagecodecs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecodecs import HTJ2K

from isocenter.core.codestream import CodestreamError, LevelScanner, scan_levels

MUTATIONS = 300 * int(os.environ.get("SOAK", "5"))
MARKERS = (b"\xff\x4f", b"\xff\x51", b"\xff\x52", b"\xff\x55", b"\xff\x90", b"\xff\xd9")


def sample(tlm):
    image = (np.arange(64 * 64) % 251).reshape(64, 64).astype(np.uint8)
    return imagecodecs.htj2k_encode(
        image,
        resolutions=3,
        reversible=True,
        tlm=tlm,
        tilepart=HTJ2K.TILEPART.RESOLUTIONS,
    )


def outcome(pieces):
    scanner = LevelScanner()
    try:
        for piece in pieces:
            scanner.feed(piece)
        levels = scanner.finish()
    except CodestreamError as error:
        return type(error), str(error)
    return levels


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(len(data), 400)) if data else 0
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + rng.randrange(40)]
            case 3:
                data[at : at + 2] = rng.choice(MARKERS)
            case 4:
                data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff"))
    return bytes(data)


def test_mutations_give_levels_or_a_codestream_error():
    rng = random.Random(15444)
    sources = [sample(tlm=True), sample(tlm=False)]
    refused = 0
    for number in range(MUTATIONS):
        data = mutated(rng, sources[number % 2])
        levels = outcome([data])
        step = rng.choice((1, 5, 64))
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        split = outcome(pieces)
        if isinstance(levels, tuple):
            refused += 1
            assert isinstance(split, tuple)
        else:
            assert split == levels
            ends = levels.ends
            assert list(ends) == sorted(set(ends))
            assert levels.header.length < ends[0] <= ends[-1] <= len(data)
    assert 0 < refused < MUTATIONS


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=300))
def test_any_bytes_after_a_good_start_give_an_answer(tail):
    head = sample_head()
    levels = outcome([head + tail])
    assert isinstance(levels, tuple) or levels.ends[-1] <= len(head + tail)


def sample_head(cache=[]):  # noqa: B006 - encoded once
    if not cache:
        codestream = sample(tlm=False)
        header = scan_levels(codestream).header
        cache.append(codestream[: header.length])
    return cache[0]
