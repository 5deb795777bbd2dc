"""Processes that are measured: begun, watched through /proc, ended by their own pid."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_START_S = 60.0
_STOP_S = 30.0


class BenchError(Exception):
    """What was to be measured can't be; the text says why."""


class Usage(NamedTuple):
    """Resources of a process and the processes it began.

    Attributes:
        cpu_s: seconds of CPU used so far.
        rss: bytes resident.
        peak: bytes resident at most, of each process at its own time.
    """

    cpu_s: float
    rss: int
    peak: int


class Server:
    """A running server.

    Args:
        name: what it is called in tables.
        port: where it listens on 127.0.0.1.
        process: it.
    """

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.port = port
        self._process = process

    def usage(self) -> Usage:
        """What it has used."""
        return usage_of(self._process.pid)


@contextmanager
def serving(
    name: str,
    command: Sequence[str | Path],
    port: int,
    log: Path,
    *,
    env: Mapping[str, str],
    ready: str = "",
) -> Iterator[Server]:
    """A server from when it takes connections on its port until the end.

    Args:
        name: what it is called.
        command: program and arguments.
        port: where it will listen.
        log: file for what it writes.
        env: its whole environment, but for PATH and HOME.
        ready: URL that must answer 200 first, too.

    Raises:
        BenchError: it did not begin; with the end of its log.
    """
    with log.open("wb") as written:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={"PATH": os.defpath, "HOME": str(log.parent), **env},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(name, process, port, ready, log)
            yield Server(name, port, process)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def usage_of(pid: int) -> Usage:
    """What a process and those it began have used, the ended ones' CPU included."""
    found = [_usage(each) for each in _family(pid)]
    cpu_s, rss, peak = (sum(each) for each in zip(*found, strict=True))
    return Usage(cpu_s, int(rss), int(peak))


def _wait(
    name: str, process: subprocess.Popen[bytes], port: int, ready: str, log: Path
) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            # A failure's answer is an OSError, too.
            if not ready or urllib.request.urlopen(ready, timeout=5):  # noqa: S310 - our own, on loopback
                return
        time.sleep(0.05)
    end = log.read_text(errors="replace")[-2000:]
    raise BenchError(f"{name} does not serve:\n{end}")


def _family(pid: int) -> list[int]:
    family = [pid]
    with suppress(FileNotFoundError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                family += _family(int(child))
    return family


def _usage(pid: int) -> Usage:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return Usage(0.0, 0, 0)
    kilobytes = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in status)
        if name in {"VmRSS", "VmHWM"}
    }
    return Usage(
        sum(map(int, fields[11:15])) / _TICKS,  # its own and of children that ended
        kilobytes.get("VmRSS", 0) * 1024,
        kilobytes.get("VmHWM", 0) * 1024,
    )
