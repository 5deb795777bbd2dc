"""Warm: requests a second for what is in the cache, beside nginx and AWS's sample."""

import asyncio
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.proxy.bars import Bar, print_table
from bench.proxy.client import Connection
from bench.proxy.contestants import SAMPLE, Place, get, nginx, ours, post, sample, usual
from bench.proxy.frames import EOC, USUAL, ids
from bench.proxy.processes import BenchError, Server
from bench.proxy.wrk import CONNECTIONS, THREADS, Ask, Speed, load

_END_LEVEL = 2
_TOKENS = 64
"""Distinct tokens, used in turn."""
_FRAME_ID = next(ids(USUAL, 1))
NGINX, OURS, JWT, POST = "nginx", "ours", "ours, tokens", "ours, POST"


@dataclass(frozen=True)
class Contestant:
    """Somebody who answers the same bytes.

    Attributes:
        name: in tables.
        server: it.
        asks: the requests for levels up to one, or the whole (None).
        end: what a whole frame may lack: AWS's sample cuts off EOC.
    """

    name: str
    server: Server
    asks: Callable[[int | None], list[Ask]]
    end: bytes = b""


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    rounds, seconds = (3, 1) if at.short else (7, 3)
    print(
        f"warm: one worker each, wrk with {CONNECTIONS} connections and {THREADS} "
        f"thread, {rounds} rounds of {seconds} s in turn, medians"
    )
    frame = usual(at).frame(_FRAME_ID)
    levels = frame[: usual(at).ends[_END_LEVEL]]
    with ExitStack() as stack:
        found = _contestants(at, stack, {"whole": frame, "levels": levels})
        cases = {"whole": (None, frame), "levels": (_END_LEVEL, levels)}
        speeds: dict[str, dict[str, list[Speed]]] = {}
        for case, (end_level, expected) in cases.items():
            for each in found:
                asyncio.run(_check(each, each.asks(end_level), expected))
            speeds[case] = {each.name: [] for each in found}
            for _ in range(rounds):
                for each in found:
                    asks = each.asks(end_level)
                    speed = load(each.server, asks, seconds, at.folder)
                    speeds[case][each.name].append(speed)
            print(f"\n {case}: {len(expected):,} bytes")
            _print_speeds(speeds[case])
    return _bars(speeds)


def _contestants(
    at: Place, stack: ExitStack, files: dict[str, bytes]
) -> list[Contestant]:
    open_to_all = stack.enter_context(ours(at))
    guarded = stack.enter_context(ours(at, JWT, tokens=True))
    bearers = [f"Bearer {at.issuer.token()}" for _ in range(_TOKENS)]
    static = stack.enter_context(nginx(at, files))
    found = [
        Contestant(
            NGINX,
            static,
            lambda end: [Ask("/whole" if end is None else "/levels")],
        ),
        Contestant(OURS, open_to_all, lambda end: [get(_FRAME_ID, end)]),
        Contestant(
            JWT, guarded, lambda end: [get(_FRAME_ID, end, each) for each in bearers]
        ),
        Contestant(POST, open_to_all, lambda end: [post(_FRAME_ID, end)]),
    ]
    peer = stack.enter_context(sample(at))
    if peer is not None:
        found.append(Contestant(SAMPLE, peer, lambda end: [post(_FRAME_ID, end)], EOC))
    return found


async def _check(contestant: Contestant, asks: list[Ask], expected: bytes) -> None:
    """Correctness before speed; it also fills the cache."""
    expected = expected.removesuffix(contestant.end)
    connection = await Connection.open(contestant.server.port)
    for ask in [*asks, asks[0]]:
        answer = await connection.ask(ask)
        if answer.status != 200 or answer.body != expected:  # noqa: PLR2004 - HTTP's OK
            raise BenchError(
                f"{contestant.name} answers {ask.path} with {answer.status} and "
                f"{len(answer.body)} bytes, not with the frame's {len(expected)}"
            )
    connection.close()


def _print_speeds(speeds: dict[str, list[Speed]]) -> None:
    # The last column: requests for a CPU second; other work changes it least.
    heads = (
        "",
        "req/s",
        "MB/s",
        "p50 ms",
        "p99 ms",
        "CPU-s/1000",
        "CPU",
        "of nginx",
        "by CPU",
    )
    rows = [
        (
            name,
            f"{_median(each, 'rps'):,.0f}",
            f"{_median(each, 'mb_per_s'):,.0f}",
            f"{_median(each, 'p50_ms'):.2f}",
            f"{_median(each, 'p99_ms'):.2f}",
            f"{_median(each, 'cpu_per_1000'):.3f}",
            f"{_median(each, 'busy'):.0%}",
            f"{_ratio(speeds, name, NGINX, 'rps'):.2f}",
            f"{1 / _ratio(speeds, name, NGINX, 'cpu_per_1000'):.2f}",
        )
        for name, each in speeds.items()
    ]
    print_table(heads, rows)


def _median(speeds: list[Speed], field: str) -> float:
    return float(statistics.median(getattr(speed, field) for speed in speeds))


def _ratio(
    speeds: dict[str, list[Speed]], ours_: str, theirs: str, field: str
) -> float:
    """The median of the rounds' ratios: what slows a round slows both."""
    rounds = zip(speeds[ours_], speeds[theirs], strict=True)
    return float(
        statistics.median(getattr(a, field) / getattr(b, field) for a, b in rounds)
    )


def _bars(speeds: dict[str, dict[str, list[Speed]]]) -> list[Bar]:
    whole, levels = speeds["whole"], speeds["levels"]
    against: dict[str, Any] = {"figure": None, "note": "no PEER_TLM_PROXY that serves"}
    if SAMPLE in levels:
        by_post = _ratio(levels, POST, SAMPLE, "rps")
        against = {
            "figure": _ratio(levels, OURS, SAMPLE, "rps"),
            "note": f"by the same POST: {by_post:.2f}",
        }
    return [
        Bar(
            "warm whole frames, bytes/s of nginx's",
            _ratio(whole, OURS, NGINX, "mb_per_s"),
            ">=",
            0.5,
        ),
        Bar(
            "warm levels, requests/s of nginx's",
            _ratio(levels, OURS, NGINX, "rps"),
            ">=",
            0.4,
        ),
        Bar(
            "warm levels, requests/s of AWS's sample",
            relation=">=",
            bound=1.3,
            **against,
        ),
        *(
            Bar(
                f"warm {case}, with tokens, of without",
                _ratio(speeds[case], JWT, OURS, "rps"),
                ">=",
                0.8,
            )
            for case in speeds
        ),
    ]
