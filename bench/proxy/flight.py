"""Single flight: many readers of a cold frame cause one call of HealthImaging."""

import asyncio
import time

import uvloop

from bench.proxy.bars import Bar
from bench.proxy.client import Connection, control, state
from bench.proxy.contestants import Place, get, ours, usual
from bench.proxy.frames import USUAL, ids
from bench.proxy.processes import BenchError, Server

_READERS = 100
_RATE, _LATENCY_S = 20_000_000, 0.005
"""So that a frame is on its way for some 15 ms, while its readers come."""
_END_LEVELS = (None, 0, 2, 4)
"""What readers ask for, in turn: the whole, and levels up to these."""


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    frames = 100 if at.short else 1000
    print(f"single flight: {_READERS} readers x {frames} cold frames")
    bars = []
    for workers in (1, 2):
        name = f"ours with {workers} workers"
        with ours(at, name, workers=workers, cache_max_bytes=2 << 30) as server:
            began = time.monotonic()
            calls, most = uvloop.run(_measure(at, server, frames, workers))
            seconds = time.monotonic() - began
        asked = frames * _READERS
        print(
            f"  {workers} worker(s): {asked:,} answers in {seconds:.1f} s, "
            f"{asked / seconds:,.0f} a second; {calls:,} calls, {most} at most a frame"
        )
        bars.append(
            Bar(
                f"calls for {frames:,} frames, {_READERS} readers, {workers} worker(s)",
                calls,
                "==",
                frames,
            )
        )
    return bars


async def _measure(
    at: Place, server: Server, frames: int, workers: int
) -> tuple[int, int]:
    await control(at.upstream.port, latency_s=_LATENCY_S, bytes_per_s=_RATE, reset=True)
    readers = [await Connection.open(server.port) for _ in range(_READERS)]
    fresh = ids(USUAL, 10 + workers)
    for _ in range(frames):
        frame_id = next(fresh)
        await asyncio.gather(
            *(
                _read(at, reader, frame_id, _END_LEVELS[number % len(_END_LEVELS)])
                for number, reader in enumerate(readers)
            )
        )
    for reader in readers:
        reader.close()
    counted = await state(at.upstream.port)
    await control(at.upstream.port, latency_s=0, bytes_per_s=0, reset=True)
    return counted["calls"], counted["most"]


async def _read(
    at: Place, reader: Connection, frame_id: str, end_level: int | None
) -> None:
    mould = usual(at)
    ask = get(frame_id, end_level)
    answer = await reader.ask(ask)
    expected = mould.frame(frame_id)
    if end_level is not None:
        expected = expected[: mould.ends[end_level]]
    if answer.status != 200 or answer.body != expected:  # noqa: PLR2004 - HTTP's OK
        raise BenchError(
            f"{ask.path}: {answer.status} and {len(answer.body)} bytes, "
            f"not {len(expected)}"
        )
