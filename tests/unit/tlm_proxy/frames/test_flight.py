"""One call, many readers: joining, leaving, failing, reading on."""

import asyncio

import pytest

from isocenter.core.codestream import scan_levels
from isocenter.core.errors import UnavailableError
from isocenter.tlm_proxy.errors import LevelOutOfRangeError
from isocenter.tlm_proxy.frames import flight as flight_module
from isocenter.tlm_proxy.frames.selection import WHOLE, LevelRange, Reduce

MODES = [8 << 20, 0]
"""Budgets: the frame is kept; nothing is kept."""


@pytest.mark.parametrize("max_bytes", MODES)
@pytest.mark.parametrize("announced", [True, False])
def test_a_hundred_readers_cause_one_call(play, htj2k, key_of, max_bytes, announced):
    ends = scan_levels(htj2k).ends
    asked = [None, Reduce(2), LevelRange(0, 0), LevelRange(2, 3), LevelRange(3, None)]
    spans = [
        (0, len(htj2k)),
        (0, ends[2]),
        (0, ends[0]),
        (ends[1], ends[3]),
        (ends[2], len(htj2k)),
    ]

    async def scene(stage):
        stage.source.add(key_of(1), htj2k, announced=announced)
        bodies = await asyncio.gather(
            *(stage.read(key_of(1), asked[n % 5], f"client {n}") for n in range(100))
        )
        for number, body in enumerate(bodies):
            start, stop = spans[number % 5]
            assert body == htj2k[start:stop], number
        assert stage.source.calls == [(key_of(1), "client 0")]
        assert stage.source.scripts[key_of(1)].closed == 1
        assert stage.metric("joined_total") == 99
        assert stage.metric("cache_frames") == (max_bytes > 0)
        if max_bytes:
            assert stage.frames.stored(key_of(1)).body == htj2k
        else:
            assert stage.used == 0

    play(scene, max_bytes)


def test_readers_of_many_frames_cause_one_call_each(play, htj2k, key_of):
    async def scene(stage):
        for n in range(50):
            stage.source.add(key_of(n), htj2k + bytes([n]))
        bodies = await asyncio.gather(
            *(stage.read(key_of(n % 50), client=str(n)) for n in range(500))
        )
        assert all(body == htj2k + bytes([n % 50]) for n, body in enumerate(bodies))
        assert len(stage.source.calls) == 50

    play(scene)


@pytest.mark.parametrize("max_bytes", MODES)
@pytest.mark.parametrize("tlm", [True, False])
def test_the_first_tile_part_leaves_as_soon_as_it_has_arrived(
    play, encode, key_of, tlm, max_bytes
):
    body = encode(tlm=tlm)
    ends = scan_levels(body).ends

    async def scene(stage):
        gate = asyncio.Event()
        stage.source.add(key_of(1), body, step=ends[0], gates={ends[0]: gate})
        first = await stage.read(key_of(1), LevelRange(0, 0))
        assert first == body[: ends[0]]
        assert not gate.is_set()

    play(scene, max_bytes)


@pytest.mark.parametrize("max_bytes", MODES)
def test_bytes_leave_as_they_arrive(play, htj2k, key_of, max_bytes):
    async def scene(stage):
        gates = {at: asyncio.Event() for at in range(0, len(htj2k), 1000)}
        stage.source.add(key_of(1), htj2k, gates=gates)
        gates[0].set()
        reader = await stage.frames.open(key_of(1), "c")
        assert (reader.size, reader.media_type) == (len(htj2k), "image/jphc")
        found = await reader.locate(None)
        at = 0
        async for piece in reader.pieces(found):
            assert bytes(piece) == htj2k[at : at + 1000]
            at += 1000
            if at in gates:
                gates[at].set()
        reader.close()

    play(scene, max_bytes)


def test_who_joins_late_gets_it_from_the_first_byte_on(play, htj2k, key_of):
    async def scene(stage):
        gate = asyncio.Event()
        script = stage.source.add(key_of(1), htj2k, gates={20_000: gate})
        first = asyncio.create_task(stage.read(key_of(1)))
        await stage.until(lambda: script.sent == 20_000)
        assert (
            await stage.read(key_of(1), Reduce(3))
            == (htj2k[: scan_levels(htj2k).ends[1]])
        )
        second = asyncio.create_task(stage.read(key_of(1)))
        await asyncio.sleep(0.005)
        gate.set()
        assert await first == await second == htj2k
        assert len(stage.source.calls) == 1

    play(scene)


def test_after_a_levels_reader_the_rest_is_read_on(play, htj2k, key_of):
    async def scene(stage):
        gate = asyncio.Event()
        script = stage.source.add(key_of(1), htj2k, gates={20_000: gate})
        await stage.read(key_of(1), Reduce(4))
        assert script.sent < len(htj2k)
        assert stage.metric("cache_frames") == 0
        # Another one joins what is being read on, and goes away.
        joined = asyncio.create_task(stage.read(key_of(1)))
        await asyncio.sleep(0.005)
        joined.cancel()
        await asyncio.wait([joined])
        gate.set()
        await stage.until(lambda: stage.metric("cache_frames") == 1)
        assert await stage.read(key_of(1)) == htj2k
        assert len(stage.source.calls) == 1
        assert script.closed == 1

    play(scene)


def test_a_frame_that_is_not_kept_is_not_read_on(play, htj2k, key_of):
    async def scene(stage):
        script = stage.source.add(
            key_of(1), htj2k, step=100, gates={20_000: asyncio.Event()}
        )
        await stage.read(key_of(1), Reduce(4))
        await stage.until(lambda: script.closed)
        assert stage.metric("broken_off_total", reason="reading on") == 0
        assert stage.used == 0

    play(scene, 0)


def test_reading_on_has_an_end(play, htj2k, key_of, monkeypatch):
    monkeypatch.setattr(flight_module, "READ_ON_S", 0.02)

    async def scene(stage):
        script = stage.source.add(key_of(1), htj2k, gates={20_000: asyncio.Event()})
        await stage.read(key_of(1), Reduce(4))
        await stage.until(lambda: script.closed)
        assert stage.metric("broken_off_total", reason="reading on") == 1
        assert stage.used == 0

    play(scene)


def test_who_joins_what_is_read_on_lifts_its_time_limit(
    play, htj2k, key_of, monkeypatch
):
    monkeypatch.setattr(flight_module, "READ_ON_S", 0.03)

    async def scene(stage):
        gate = asyncio.Event()
        stage.source.add(key_of(1), htj2k, gates={20_000: gate})
        await stage.read(key_of(1), Reduce(4))
        joined = asyncio.create_task(stage.read(key_of(1)))
        await asyncio.sleep(0.06)
        gate.set()
        assert await joined == htj2k

    play(scene)


@pytest.mark.parametrize("max_bytes", MODES)
@pytest.mark.parametrize("opened", [True, False])
def test_when_all_have_gone_the_call_is_closed(play, htj2k, key_of, max_bytes, opened):
    async def scene(stage):
        script = stage.source.add(key_of(1), htj2k, gates={5_000: asyncio.Event()})
        if not opened:
            script.opening = asyncio.Event()
        readers = [asyncio.create_task(stage.read(key_of(1))) for _ in range(5)]
        await asyncio.sleep(0.005)
        for reader in readers[1:]:
            reader.cancel()
        await asyncio.sleep(0.005)
        assert not script.closed
        assert len(stage.frames._flights) == 1
        readers[0].cancel()
        await asyncio.wait(readers)
        assert not stage.frames._flights
        if opened:
            await stage.until(lambda: script.closed)
        await stage.until(lambda: not stage.frames._tasks)
        assert stage.used == 0
        # The next one asks anew.
        stage.source.add(key_of(1), htj2k)
        assert await stage.read(key_of(1)) == htj2k
        assert len(stage.source.calls) == 2

    play(scene, max_bytes)


@pytest.mark.parametrize("max_bytes", MODES)
def test_who_asked_first_may_go_and_the_others_stay(play, htj2k, key_of, max_bytes):
    async def scene(stage):
        gate = asyncio.Event()
        script = stage.source.add(key_of(1), htj2k, opening=gate)
        first = asyncio.create_task(stage.read(key_of(1)))
        second = asyncio.create_task(stage.read(key_of(1)))
        await asyncio.sleep(0.002)
        first.cancel()
        await asyncio.sleep(0.002)
        gate.set()
        assert await second == htj2k
        assert script.closed == 1
        assert len(stage.source.calls) == 1

    play(scene, max_bytes)


def test_without_tlm_levels_flow_while_their_end_is_unknown(play, encode, key_of):
    body = encode(tlm=False)
    ends = scan_levels(body).ends

    async def scene(stage):
        gate = asyncio.Event()
        step = ends[1] + 12
        stage.source.add(key_of(1), body, step=step, gates={step: gate})
        reader = await stage.frames.open(key_of(1), "c")
        found = await reader.locate(LevelRange(0, 3))
        assert not found.final
        pieces = reader.pieces(found)
        got = bytes(await anext(pieces))
        assert got == body[:step]
        exact = await stage.frames.open(key_of(1), "c")
        waiting = asyncio.create_task(exact.locate(LevelRange(0, 3), exact=True))
        await asyncio.sleep(0.005)
        assert not waiting.done()
        gate.set()
        assert (await waiting).stop == ends[3]
        async for piece in pieces:
            got += piece
        assert got == body[: ends[3]]
        reader.close()
        exact.close()

    play(scene)


def test_a_byte_range_of_what_arrives(play, htj2k, key_of):
    async def scene(stage):
        stage.source.add(key_of(1), htj2k)
        reader = await stage.frames.open(key_of(1), "c")
        whole = await reader.locate(None)
        part = whole._replace(start=7_000, stop=7_100)
        assert [bytes(p) async for p in reader.pieces(part)] == [htj2k[7_000:7_100]]
        reader.close()
        reader.close()
        await stage.until(lambda: stage.metric("cache_frames") == 1)

    play(scene)


def test_stored_frames_are_not_copied(play, htj2k, key_of):
    async def scene(stage):
        stage.source.add(key_of(1), htj2k)
        assert stage.frames.stored(key_of(1)) is None
        await stage.read(key_of(1))
        frame = stage.frames.stored(key_of(1))
        assert frame.part(frame.cut(None)) is frame.body
        assert frame.part(WHOLE) is frame.body
        level = frame.part(frame.cut(LevelRange(1, 2)))
        assert isinstance(level, memoryview)
        assert level.obj is frame.body
        assert frame.cut(LevelRange(1, 2)) is frame.cut(LevelRange(1, 2))
        for end in range(100):
            frame.cut(LevelRange(0, end))
        assert len(frame._cuts) <= 16
        with pytest.raises(LevelOutOfRangeError):
            frame.cut(LevelRange(9, 9))

    play(scene)


def test_stopping_tells_who_still_reads(play, htj2k, key_of):
    async def scene(stage):
        script = stage.source.add(key_of(1), htj2k, gates={5_000: asyncio.Event()})
        waiting = stage.source.add(key_of(2), htj2k, opening=asyncio.Event())
        readers = [asyncio.create_task(stage.read(key_of(n))) for n in (1, 2, 1)]
        await asyncio.sleep(0.005)
        await stage.frames.aclose()
        told = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(failure) for failure in told] == [UnavailableError] * 3
        assert (script.closed, waiting.closed) == (1, 0)
        assert stage.used == 0

    play(scene)
