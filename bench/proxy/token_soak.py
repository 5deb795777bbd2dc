"""Tokens: as many as a day brings, and what the proxy keeps of them."""

import asyncio
import time

import uvloop

from bench.proxy.bars import Bar
from bench.proxy.client import Connection
from bench.proxy.contestants import Place, get, ours, usual
from bench.proxy.frames import USUAL, ids
from bench.proxy.processes import BenchError, Server

_CLIENTS = 16
_FORGED_EVERY, _EXPIRED_EVERY = 20, 21
_ALLOWED_MB = 8.0
"""Growth from when the memory of known tokens (4,096) is full."""
_OK, _UNAUTHORIZED = 200, 401
_MB = 1024 * 1024


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bar."""
    first, count = (5_000, 7_000) if at.short else (5_000, 25_000)
    with ours(at, "ours with a day's tokens", tokens=True) as server:
        began = time.monotonic()
        uvloop.run(_measure(at, server, first))
        filled = server.usage().rss
        uvloop.run(_measure(at, server, count - first))
        end = server.usage().rss
        seconds = time.monotonic() - began
    print(
        f"tokens: {count:,} distinct ones, one in {_FORGED_EVERY} forged and one in "
        f"{_EXPIRED_EVERY} expired, in {seconds:.0f} s\n"
        f"  {filled / _MB:.1f} MB after {first:,}, {end / _MB:.1f} MB after {count:,}"
    )
    return [
        Bar(
            f"growth of memory from {first:,} to {count:,} tokens",
            (end - filled) / _MB,
            "<=",
            _ALLOWED_MB,
            "MB",
        )
    ]


async def _measure(at: Place, server: Server, count: int) -> None:
    """Send each of ``count`` new tokens twice: checked, then known or refused."""
    frame_id = next(ids(USUAL, 30))
    left = count
    mould = usual(at)
    expected = mould.frame(frame_id)[: mould.ends[0]]

    async def client() -> None:
        nonlocal left
        connection = await Connection.open(server.port)
        while left > 0:
            left -= 1
            forged = left % _FORGED_EVERY == 0
            expired = left % _EXPIRED_EVERY == 0
            token = at.issuer.token(
                "ES256", lifetime_s=-3600 if expired else 3600, forged=forged
            )
            ask = get(frame_id, 0, f"Bearer {token}")
            for _ in range(2):
                answer = await connection.ask(ask)
                good = (answer.status, answer.body) == (_OK, expected)
                refused = answer.status == _UNAUTHORIZED
                if not (refused if forged or expired else good):
                    raise BenchError(f"a token was answered with {answer.status}")
        connection.close()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
