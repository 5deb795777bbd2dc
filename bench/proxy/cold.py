"""Cold: how much later than HealthImaging's bytes ours arrive."""

import asyncio
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field

import uvloop

from bench.proxy.bars import Bar, print_table
from bench.proxy.client import Answer, Connection, control, state
from bench.proxy.contestants import SAMPLE, Place, get, ours, post, sample, usual
from bench.proxy.frames import EOC, USUAL, ids
from bench.proxy.processes import BenchError
from bench.proxy.wrk import Ask

_RATE, _LATENCY_S = 2_000_000, 0.02
_LATE_MS, _LONGER = 5.0, 1.05


@dataclass
class Found:
    """What was found of one way to a frame.

    Attributes:
        late_ms: from when HealthImaging had written level 0 to its first byte here.
        complete_ms: the same, to its last byte.
        whole_ms: from the request for a whole frame to its last byte.
    """

    late_ms: list[float] = field(default_factory=list)
    complete_ms: list[float] = field(default_factory=list)
    whole_ms: list[float] = field(default_factory=list)


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    count = 15 if at.short else 60
    print(
        f"cold: HealthImaging answers after {_LATENCY_S * 1e3:.0f} ms with "
        f"{_RATE / 1e6:.0f} MB/s; {count} frames a way, in turn"
    )
    with ExitStack() as stack:
        ports = {
            "directly": at.upstream.port,
            "ours": stack.enter_context(ours(at)).port,
        }
        peer = stack.enter_context(sample(at))
        if peer is not None:
            ports[SAMPLE] = peer.port
        found = uvloop.run(_measure(at, ports, count))
    _print(found)
    longer = [
        mine / direct
        for mine, direct in zip(
            found["ours"].whole_ms, found["directly"].whole_ms, strict=True
        )
    ]
    return [
        Bar(
            "cold, level 0's first byte after its arrival",
            statistics.median(found["ours"].late_ms),
            "<=",
            _LATE_MS,
            "ms",
            f"median; 95 %: {_p95(found['ours'].late_ms):.2f} ms",
        ),
        Bar(
            "cold, time to the last byte of a direct download's",
            statistics.median(longer),
            "<=",
            _LONGER,
        ),
    ]


async def _measure(at: Place, ports: dict[str, int], count: int) -> dict[str, Found]:
    await control(at.upstream.port, latency_s=_LATENCY_S, bytes_per_s=_RATE, reset=True)
    connections = {way: await Connection.open(port) for way, port in ports.items()}
    found = {way: Found() for way in ports}
    fresh = ids(USUAL, 2)
    mould = usual(at)
    for way, connection in connections.items():
        # The first call also opens connections and reads credentials.
        await connection.ask(_whole(way, next(fresh)))
    for _ in range(count):
        for way, connection in connections.items():
            one = found[way]
            frame_id = next(fresh)
            answer = await connection.ask(_whole(way, frame_id))
            frame = mould.frame(frame_id)
            _expect(way, answer, frame.removesuffix(EOC) if way == SAMPLE else frame)
            one.whole_ms.append((answer.last - answer.asked) * 1e3)
            frame_id = next(fresh)
            answer = await connection.ask(_level_0(way, frame_id))
            level_0 = mould.frame(frame_id)[: mould.ends[0]]
            if way == "directly":
                level_0 = mould.frame(frame_id)
            _expect(way, answer, level_0)
            stamp = await _stamp(at, frame_id)
            one.late_ms.append((answer.first - stamp) * 1e3)
            complete = next(t for t, n in answer.arrivals if n >= mould.ends[0])
            one.complete_ms.append((complete - stamp) * 1e3)
    await control(at.upstream.port, latency_s=0, bytes_per_s=0, reset=True)
    return found


def _whole(way: str, frame_id: str) -> Ask:
    return get(frame_id) if way == "ours" else post(frame_id)


def _level_0(way: str, frame_id: str) -> Ask:
    if way == "directly":
        return post(frame_id)
    return get(frame_id, 0) if way == "ours" else post(frame_id, 0)


def _expect(way: str, answer: Answer, body: bytes) -> None:
    if answer.status != 200 or answer.body != body:  # noqa: PLR2004 - HTTP's OK
        raise BenchError(
            f"{way}: {answer.status} and {len(answer.body)} bytes, not {len(body)}"
        )


async def _stamp(at: Place, frame_id: str) -> float:
    """When the stub had written level 0; it goes on with the frame first."""
    for _ in range(200):
        stamps = (await state(at.upstream.port))["stamps"].get(frame_id, [])
        if len(stamps) == 2:  # noqa: PLR2004 - level 0 and the whole
            return float(stamps[0])
        await asyncio.sleep(0.01)
    raise BenchError(f"the stub did not finish frame {frame_id}")


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _print(found: dict[str, Found]) -> None:
    heads = ("", "level 0, first byte", "95 %", "complete", "whole frame", "95 %")
    rows = [
        (
            way,
            f"+{statistics.median(one.late_ms):.2f} ms",
            f"{_p95(one.late_ms):.2f} ms",
            f"+{statistics.median(one.complete_ms):.2f} ms",
            f"{statistics.median(one.whole_ms):.1f} ms",
            f"{_p95(one.whole_ms):.1f} ms",
        )
        for way, one in found.items()
    ]
    print_table(heads, rows)
