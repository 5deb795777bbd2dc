"""Memory: slow readers, frames without room, the budget."""

import asyncio
import gc
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.codestream import CodestreamError, scan_levels
from isocenter.core.errors import UnavailableError
from isocenter.tlm_proxy.frames import flight as flight_module
from isocenter.tlm_proxy.frames.arrived import ArrivedBytes
from isocenter.tlm_proxy.frames.flight import LEAST_WINDOW, WINDOW
from isocenter.tlm_proxy.frames.selection import WHOLE, Cut, LevelRange, Reduce

BUDGET = 16 << 20
BIG = bytes(range(256)) * (16 << 10)
"""4 MB: over an eighth of the budget."""


def test_a_slow_reader_of_a_big_frame_holds_back_its_arriving(play, key_of):
    async def scene(stage):
        script = stage.source.add(key_of(1), BIG, step=10_000)
        reader = await stage.frames.open(key_of(1), "c")
        pieces = reader.pieces(await reader.locate(None))
        got = b""
        for _ in range(12):
            # However slow the machine is: as far as it goes, and no further.
            while got and script.sent - len(got) < WINDOW:  # noqa: ASYNC110 - has none
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert script.sent - len(got) <= WINDOW + 10_000
            assert stage.used <= 1.5 * WINDOW + 10_000
            got += await anext(pieces)
        async for piece in pieces:
            got += piece
        assert got == BIG
        reader.close()
        assert stage.used == 0

    play(scene, BUDGET)


@pytest.mark.parametrize("announced", [True, False])
def test_all_readers_of_a_big_frame_share_it_at_the_pace_of_the_slowest(
    play, key_of, announced
):
    async def scene(stage):
        stage.source.add(key_of(1), BIG, step=50_000, announced=announced)

        async def slow():
            await asyncio.sleep(0.002)

        bodies = await asyncio.gather(
            *(
                stage.read(key_of(1), slow=slow if n % 7 == 0 else None)
                for n in range(9)
            )
        )
        assert all(body == BIG for body in bodies)
        assert len(stage.source.calls) == 1
        await asyncio.sleep(0)
        assert stage.used == 0

    play(scene, BUDGET)


def test_who_comes_after_the_window_has_moved_has_a_call_of_their_own(play, key_of):
    async def scene(stage):
        script = stage.source.add(key_of(1), BIG, step=50_000)
        first = await stage.frames.open(key_of(1), "c")
        pieces = first.pieces(await first.locate(None))
        got = bytes(await anext(pieces))
        # Nothing is forgotten yet: this one joins.
        second = await stage.frames.open(key_of(1), "c")
        assert len(stage.source.calls) == 1
        second.close()
        while len(got) < 3 * WINDOW:
            got += await anext(pieces)
        assert await stage.read(key_of(1)) == BIG
        assert len(stage.source.calls) == 2
        async for piece in pieces:
            got += piece
        assert got == BIG
        first.close()
        assert script.closed == 2
        assert stage.used == 0

    play(scene, BUDGET)


def test_stopping_tells_readers_of_frames_that_nobody_can_join_any_more(play, key_of):
    async def scene(stage):
        script = stage.source.add(
            key_of(1), BIG, step=50_000, gates={3_000_000: asyncio.Event()}
        )
        reading = asyncio.create_task(stage.read(key_of(1)))
        await stage.until(lambda: script.sent >= 2_900_000)
        await asyncio.sleep(0.01)
        assert not stage.frames._flights
        stuck = stage.source.add(key_of(2), BIG, step=50_000)
        reader = await stage.frames.open(key_of(2), "c")
        await stage.until(lambda: stuck.sent >= WINDOW)
        await asyncio.sleep(0.01)
        await stage.frames.aclose()
        with pytest.raises(UnavailableError, match="stopped"):
            await reading
        got, error = await stage.taken(reader, WHOLE)
        assert isinstance(error, UnavailableError)
        assert got == BIG[: len(got)]
        reader.close()
        assert (script.closed, stuck.closed, stage.used) == (1, 1, 0)

    play(scene, BUDGET)


def test_who_stops_reading_no_longer_holds_the_others_back(play, key_of):
    async def scene(stage):
        stage.source.add(key_of(1), BIG, step=50_000)
        stuck = await stage.frames.open(key_of(1), "c")
        await stuck.locate(None)
        other = asyncio.create_task(stage.read(key_of(1)))
        await asyncio.sleep(0.02)
        assert not other.done()
        stuck.close()
        assert await other == BIG

    play(scene, BUDGET)


def test_a_reader_of_the_first_bytes_alone_holds_nobody_back(play, key_of):
    async def scene(stage):
        stage.source.add(key_of(1), BIG, step=50_000)
        done = await stage.frames.open(key_of(1), "c")
        await done.locate(None)
        assert [bytes(p) async for p in done.pieces(Cut(0, 9))] == [BIG[:9]]
        assert await stage.read(key_of(1)) == BIG
        done.close()

    play(scene, BUDGET)


def test_a_frame_that_outgrows_its_room_goes_on_without(play, key_of):
    async def scene(stage):
        script = stage.source.add(key_of(1), BIG, step=50_000, announced=False)
        reader = await stage.frames.open(key_of(1), "c")
        await asyncio.sleep(0.02)
        # An eighth of the budget had room; then it waits for its reader.
        assert BUDGET // 8 - 50_000 < script.sent < BUDGET // 8 + 50_000
        assert stage.used == script.sent
        got = b"".join([bytes(p) async for p in reader.pieces(WHOLE)])
        assert got == BIG
        reader.close()
        assert stage.used == stage.metric("cache_frames") == 0
        assert stage.metric("cache_refusals_total") == 1

    play(scene, BUDGET)


def test_arriving_frames_that_fill_their_share_are_bounded_as_well(play, key_of):
    size = 1_500_000
    body = bytes(size)

    async def scene(stage):
        readers = []
        gate = asyncio.Event()
        for n in range(12):
            stage.source.add(key_of(n), body, step=100_000, gates={100_000: gate})
            readers.append(await stage.frames.open(key_of(n), "c"))
        gate.set()
        await asyncio.sleep(0.1)
        kept = BUDGET // 2 // size
        assert stage.metric("cache_refusals_total") == 12 - kept
        # Those without room share an eighth of the budget for their windows.
        assert stage.used <= BUDGET // 2 + BUDGET // 8 + 12 * (LEAST_WINDOW + 100_000)
        assert len(stage.source.calls) == 12

        async def rest(reader):
            pieces = [bytes(p) async for p in reader.pieces(WHOLE)]
            reader.close()
            return b"".join(pieces)

        assert all([await rest(reader) == body for reader in readers])
        assert stage.metric("cache_frames") == kept

    play(scene, BUDGET)


def test_frames_that_slow_clients_still_read_are_counted(play, key_of):
    body = bytes(1_000_000)

    async def scene(stage):
        slow = []
        for n in range(14):
            stage.source.add(key_of(n), body, step=100_000)
            reader = await stage.frames.open(key_of(n), "c")
            pieces = reader.pieces(await reader.locate(None))
            first = len(await anext(pieces))
            slow.append((reader, pieces, first))
            await asyncio.sleep(0.005)
            assert stage.used <= BUDGET
        for n in range(100, 120):
            stage.source.add(key_of(n), body, step=100_000)
            assert await stage.read(key_of(n)) == body
            assert stage.used <= BUDGET
        for reader, pieces, first in slow:
            assert first + sum([len(p) async for p in pieces]) == len(body)
            reader.close()

    play(scene, BUDGET)


def test_levels_behind_the_window_are_found(play, encode, key_of, monkeypatch):
    """A frame that isn't kept: what lies before the asked levels is passed by."""
    monkeypatch.setattr(flight_module, "LEAST_WINDOW", 1_000)
    for tlm in (True, False):
        body = encode(tlm=tlm)
        ends = scan_levels(body).ends
        assert ends[2] > 2 * 1_000

        async def scene(stage, body=body, ends=ends):
            stage.source.add(key_of(1), body, step=500)
            for start in range(5):
                got = await stage.read(key_of(1), LevelRange(start, start))
                assert got == body[ends[start - 1] if start else 0 : ends[start]]
            assert await stage.read(key_of(1), LevelRange(3, None)) == body[ends[2] :]

        play(scene, 0)


def test_without_room_to_look_ahead_the_answer_is_still_right(
    play, encode, key_of, monkeypatch
):
    monkeypatch.setattr(flight_module, "LEAST_WINDOW", 500)
    body = encode(tlm=False)
    ends = scan_levels(body).ends

    async def scene(stage):
        stage.source.add(key_of(1), body, step=100)
        # Level 3 ends past the window: its end can't be waited for.
        reader = await stage.frames.open(key_of(1), "c")
        found = await reader.locate(LevelRange(0, 3), exact=True)
        assert not found.final
        got = b"".join([bytes(p) async for p in reader.pieces(found)])
        assert got == body[: ends[3]]
        reader.close()
        # Nor can it be seen where the reduced part ends: it is the whole then.
        assert await stage.read(key_of(1), Reduce(1)) == body
        stage.source.add(key_of(2), b"\xff\x4f" + body[2:4] + b"\xff" * 5000, step=100)
        with pytest.raises(CodestreamError, match="no room"):
            await stage.read(key_of(2), LevelRange(0, 3))
        assert stage.used == 0

    play(scene, 0)


def span(body, asked):
    """Where it lies in a frame with five levels."""
    ends = scan_levels(body).ends
    match asked:
        case LevelRange(start, end):
            last = len(body) if end is None or end > 4 else ends[end]
            return ends[start - 1] if start else 0, last
        case Reduce(n):
            return 0, ends[max(4 - n, 0)]
    return 0, len(body)


@pytest.mark.parametrize("max_bytes", [0, 30_000, 1 << 20])
def test_every_reader_gets_its_bytes_whatever_the_interleaving(
    play, encode, key_of, max_bytes, monkeypatch
):
    monkeypatch.setattr(flight_module, "LEAST_WINDOW", 3_000)
    monkeypatch.setattr(flight_module, "WINDOW", 9_000)
    rng = random.Random(max_bytes)
    bodies = [encode(tlm=True), encode(tlm=False), bytes(range(256)) * 90]
    asked = [None, Reduce(1), Reduce(3), Reduce(9)]
    asked += [LevelRange(a, b) for a in range(4) for b in (a, 4, 9, None)]

    async def scene(stage):
        async def slow():
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)

        async def client(name):
            body = bodies[name % 3]
            part = rng.choice(asked) if name % 3 < 2 else rng.choice(asked[:4])
            await asyncio.sleep(rng.random() * 0.02)
            reading = asyncio.create_task(
                stage.read(key_of(name), part, slow=rng.choice([slow, None]))
            )
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() * 0.01)
                reading.cancel()
                await asyncio.wait([reading])
                return
            got = await reading
            if name % 3 == 2:
                assert got == body
                return
            first, last = span(body, part)
            if isinstance(part, Reduce) and got == body and name % 3 == 1:
                # Without TLM and room, the whole is the honest answer.
                assert max_bytes < 1 << 20
                last = len(body)
            assert got == body[first:last], (name, part)

        for n in range(12):
            stage.source.add(key_of(n), bodies[n % 3], step=rng.randrange(50, 4_000))
            stage.source.scripts[key_of(n)].announced = rng.random() < 0.5
        stage.source.scripts[key_of(0)].step = 23
        await asyncio.gather(*(client(rng.randrange(12)) for _ in range(70)))
        await stage.until(lambda: not stage.frames._tasks)
        gc.collect()
        await asyncio.sleep(0)
        frames = stage.frames._cache._frames.values()
        assert stage.used == sum(frame.cost for frame in frames)

    play(scene, max_bytes)


def test_memory_stays_within_the_budget_while_much_passes(play, key_of):
    """40 MB through a cache of 4 MB, by eight clients at a time."""
    budget = 4 << 20
    block = bytes(400_000)

    async def scene(stage):
        async def client(first):
            for n in range(first, 100, 8):
                stage.source.add(key_of(n), block, step=65_536)
                assert len(await stage.read(key_of(n))) == len(block)
                del stage.source.scripts[key_of(n)]
                assert stage.used <= budget + 8 * (LEAST_WINDOW + 65_536)

        await asyncio.gather(*(client(n) for n in range(8)))

    gc.collect()
    tracemalloc.start()
    try:
        play(scene, budget)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Eight clients hold a copy of what they read, as they check it.
    assert peak < budget + 2 * 8 * len(block) + (2 << 20)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20), st.data())
def test_arrived_bytes(pieces, data):
    arrived, body = ArrivedBytes(), b""
    arrived.expect(data.draw(st.integers(0, 500)))
    for piece in pieces:
        arrived.append(piece)
        body += piece
        at = data.draw(st.integers(arrived.start, arrived.end))
        stop = data.draw(st.integers(at, arrived.end))
        assert arrived.read(at, stop) == body[at:stop]
        if data.draw(st.booleans()):
            assert arrived.drop_before(at) >= 0
        assert (arrived.end, len(arrived)) == (len(body), len(body) - arrived.start)
    start = arrived.start
    assert arrived.take() == body[start:]
    assert len(arrived) == 0
