"""Memory: what the proxy takes at most while much more than its cache passes."""

import asyncio
import time

import uvloop

from bench.proxy.bars import Bar
from bench.proxy.client import Connection, control
from bench.proxy.contestants import Place, get, ours
from bench.proxy.frames import LARGE, USUAL, ids
from bench.proxy.processes import BenchError, Server

_BUDGET = 256 * 1024 * 1024
_ALLOWED = 150 * 1024 * 1024
_CLIENTS = 16
_LARGE_EVERY = 5
_LONGEST_S = 1800.0


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bar.

    Raises:
        BenchError: it takes too long, or bytes are not the frame's.
    """
    total = 10**9 if at.short else 20 * 10**9
    with ours(at, "ours with 256 MB", cache_max_bytes=_BUDGET) as server:
        begin = server.usage()
        began = time.monotonic()
        passed, frames = uvloop.run(_measure(at, server, total))
        seconds = time.monotonic() - began
        end = server.usage()
    mb = 1024 * 1024
    print(
        f"memory: {passed / 1e9:.1f} GB in {frames:,} frames, each asked for once, by "
        f"{_CLIENTS} clients in {seconds:.0f} s ({passed / seconds / 1e6:.0f} MB/s, "
        f"{(end.cpu_s - begin.cpu_s) / frames * 1000:.2f} CPU-s per 1,000)\n"
        f"  at the start {begin.rss / mb:.0f} MB, at the end {end.rss / mb:.0f} MB, "
        f"at most {end.peak / mb:.0f} MB; the cache's budget is {_BUDGET / mb:.0f} MB"
    )
    if passed < total:
        raise BenchError(
            f"{passed / 1e9:.1f} GB of {total / 1e9:.0f} passed in {seconds:.0f} s"
        )
    return [
        Bar(
            f"most memory while {total / 1e9:.0f} GB pass",
            end.peak / mb,
            "<=",
            (_BUDGET + _ALLOWED) / mb,
            "MB",
        )
    ]


async def _measure(at: Place, server: Server, total: int) -> tuple[int, int]:
    """Bytes and frames that passed."""
    await control(at.upstream.port, latency_s=0, bytes_per_s=0, reset=True)
    passed = frames = 0
    stop = time.monotonic() + _LONGEST_S
    usual = ids(USUAL, 20)
    large = ids(LARGE, 20)

    async def client() -> None:
        nonlocal passed, frames
        connection = await Connection.open(server.port)
        while passed < total and time.monotonic() < stop:
            frames += 1
            kind = large if frames % _LARGE_EVERY == 0 else usual
            frame_id = next(kind)
            answer = await connection.ask(get(frame_id))
            if answer.body != at.moulds[frame_id[0]].frame(frame_id):
                raise BenchError(f"frame {frame_id}: {answer.status}, or other bytes")
            passed += len(answer.body)
        connection.close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    # What was counted so far is of no use to anybody else, and large.
    await control(at.upstream.port, reset=True)
    return passed, frames
