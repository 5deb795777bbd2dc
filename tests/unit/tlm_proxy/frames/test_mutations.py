"""Mutated codestreams through the cache and in flight: an answer made of the
frame's own bytes or an IsocenterError, never another exception, never a hang.

SOAK=<n> multiplies the few hundred of a normal run."""

import asyncio
import os
import random

import pytest
from imagecodecs import HTJ2K

from isocenter.core.codestream import scan_levels
from isocenter.core.errors import IsocenterError, MalformedError
from isocenter.tlm_proxy.errors import LevelOutOfRangeError, LevelsUnavailableError
from isocenter.tlm_proxy.frames import flight as flight_module
from isocenter.tlm_proxy.frames.frame import Frame
from isocenter.tlm_proxy.frames.selection import LevelRange, Reduce

MUTATIONS = 60 * int(os.environ.get("SOAK", "5"))
MARKERS = [0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF5F, 0xFF90, 0xFF93, 0xFFD9]
FOLLOWS_FROM_THE_FRAME = (MalformedError, LevelOutOfRangeError, LevelsUnavailableError)


def mutated(rng, data):
    data = bytearray(data)
    # Offsets of markers, so that not all of it hits packet data.
    spots = [at for at in range(min(len(data), 9000) - 1) if data[at] == 0xFF]
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(min(len(data), 400))
        if rng.random() < 0.5:
            at = min(rng.choice(spots) + rng.randrange(16), len(data) - 1)
        match rng.randrange(6):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + rng.randrange(60)]
            case 3:
                data[at : at + 2] = rng.choice(MARKERS).to_bytes(2, "big")
            case 4:
                data[at : at + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\0\0\0\x0e"))
            case 5:
                del data[at : at + rng.randrange(1, 30)]
    return bytes(data)


def selection(rng):
    start = rng.randrange(5)
    return rng.choice(
        [
            None,
            Reduce(rng.randrange(1, 6)),
            LevelRange(start, None),
            LevelRange(start, start + rng.randrange(4)),
        ]
    )


def from_the_cache(body, asked):
    frame = Frame(body, "image/jphc")
    try:
        found = frame.cut(asked)
    except FOLLOWS_FROM_THE_FRAME as error:
        return type(error)
    assert 0 <= found.start <= found.stop <= len(body)
    return bytes(frame.part(found))


@pytest.mark.parametrize("max_bytes", [0, 8 << 20])
def test_mutations(play, encode, key_of, max_bytes, monkeypatch):
    monkeypatch.setattr(flight_module, "LEAST_WINDOW", 1_500)
    rng = random.Random(15444 + max_bytes)
    sources = [
        encode(shape=(64, 64)),
        encode(shape=(64, 64), tlm=False),
        encode(shape=(64, 64), tlm=False, parts=None),
        encode(shape=(64, 64), tile=(32, 32), parts=HTJ2K.TILEPART.RESOLUTIONS),
    ]
    answers = {"whole": 0, "part": 0, "error": 0}

    async def one(stage, number):
        body = mutated(rng, sources[number % 4])
        asked = [selection(rng) for _ in range(3)]
        warm = [from_the_cache(body, part) for part in asked]
        script = stage.source.add(key_of(number), body, step=rng.randrange(5, 3_000))
        script.announced = rng.random() < 0.7
        cold = await asyncio.gather(
            *(stage.read(key_of(number), part) for part in asked),
            return_exceptions=True,
        )
        for part, here, there in zip(asked, warm, cold, strict=True):
            if isinstance(there, IsocenterError):
                answers["error"] += 1
                # Refused of what is here too, but for what no window can hold.
                assert here is type(there) or isinstance(there, MalformedError)
                if isinstance(part, Reduce):
                    # Its TLM reaches past an end that wasn't announced.
                    assert not script.announced
                    assert here == body
                else:
                    assert isinstance(part, LevelRange)
                continue
            assert isinstance(there, bytes), there
            answers["whole" if there == body else "part"] += 1
            if isinstance(part, Reduce):
                # The whole for want of a window, or a part that had begun to leave
                # before the codestream broke.
                assert there in (here, body) or (
                    here == body and body.startswith(there)
                )
            elif isinstance(here, bytes):
                assert there == here
            else:
                # Levels that had left before the codestream broke.
                assert isinstance(part, LevelRange)
                assert there in body
            if part is None:
                assert there == body

    async def scene(stage):
        for first in range(0, MUTATIONS, 20):
            await asyncio.gather(
                *(one(stage, number) for number in range(first, first + 20))
            )
            assert not stage.frames._flights or max_bytes
        assert all(count > MUTATIONS // 20 for count in answers.values()), answers

    play(scene, max_bytes, limit=600 if MUTATIONS > 300 else 20)


def test_the_sources_are_good(encode):
    assert len(scan_levels(encode(shape=(64, 64))).ends) == 5
