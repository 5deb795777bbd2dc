"""wrk, asking one server for a while, and what the server used meanwhile."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.proxy.processes import BenchError, Server

CONNECTIONS, THREADS = 16, 1
"""A thread: on two cores the server then has one to itself."""
_SCRIPT = Path(__file__).with_name("report.lua")


class Ask(NamedTuple):
    """One request.

    Attributes:
        path: with its query.
        method: GET or POST.
        authorization: the header's value; None for none.
        body: JSON; None for none.
    """

    path: str
    method: str = "GET"
    authorization: str | None = None
    body: str | None = None


@dataclass(frozen=True)
class Speed:
    """What one round found.

    Attributes:
        rps: requests a second.
        mb_per_s: 10^6 bytes a second, headers included.
        p50_ms: latency of half of the requests at most.
        p99_ms: latency of 99 % of the requests at most.
        cpu_per_1000: the server's CPU seconds for 1,000 requests.
        busy: part of the round that the server's CPU was in use.
    """

    rps: float
    mb_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_per_1000: float
    busy: float


def load(server: Server, asks: list[Ask], seconds: int, folder: Path) -> Speed:
    """Ask for some seconds, over and over the list of requests.

    Raises:
        BenchError: an answer was not 2xx, or did not come; or there is no wrk.
    """
    if shutil.which("wrk") is None:
        raise BenchError("wrk is not installed (Debian: wrk)")
    listed = folder / "requests.txt"
    lines = [
        part or "-"
        for ask in asks
        for part in (ask.method, ask.path, ask.authorization, ask.body)
    ]
    listed.write_text("\n".join(lines) + "\n")
    before = server.usage().cpu_s
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{server.port}", "--"]
    done = subprocess.run(
        [*command, str(listed)],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    used = server.usage().cpu_s - before
    _, found, result = done.stdout.partition("RESULT ")
    if not found:
        raise BenchError(f"wrk against {server.name}: {done.stdout}{done.stderr}")
    got = json.loads(result)
    if got["bad"] or not got["requests"]:
        raise BenchError(f"{server.name}: {got['bad']} bad answers: {done.stdout}")
    duration = got["duration_us"] / 1e6
    return Speed(
        rps=got["requests"] / duration,
        mb_per_s=got["bytes"] / duration / 1e6,
        p50_ms=got["p50_us"] / 1e3,
        p99_ms=got["p99_us"] / 1e3,
        cpu_per_1000=used / got["requests"] * 1000,
        busy=used / duration,
    )
