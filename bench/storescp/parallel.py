"""Four associations of dcmtk's storescu at once: how fast each receiver takes them."""

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.bars import Bar, print_table
from bench.proxy.processes import BenchError
from bench.storescp import contestants
from bench.storescp.contestants import AE_TITLE, WORKERS, Place, Receiver
from bench.storescp.slices import Slices, make

ASSOCIATIONS = 4
GB = 1e9
DCMTK, OURS = "dcmtk storescp --fork +B", f"ours, {WORKERS} workers, fsync"
_SENDER = Path("/usr/bin/storescu")
_SEND_S = 600
_Begin = Callable[[], AbstractContextManager[Receiver]]


@dataclass(frozen=True)
class Speed:
    """One round.

    Attributes:
        rate: MB (1e6 bytes) a second, from the first sender's start to the last's end.
        cpu: the receiver's CPU seconds for a GB (1e9 bytes).
        peak: bytes resident at most.
    """

    rate: float
    cpu: float
    peak: int


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    rounds, each = (2, 100) if at.short else (5, 100)
    slices = make(at.new("slices"), associations=ASSOCIATIONS, each=each)
    print(
        f"parallel: {ASSOCIATIONS} storescu (dcmtk) at once, {each} slices of 512 KB"
        f" each, {rounds} rounds in turn, medians"
    )
    found: dict[str, _Begin] = {
        DCMTK: lambda: contestants.dcmtk(at),
        "dcmtk, PDUs of 128 KB": lambda: contestants.dcmtk(at, max_pdu=128 * 1024),
        "Orthanc": lambda: contestants.orthanc(at),
        "pynetdicom, no fsync": lambda: contestants.pynetdicom(at, 1),
        "pynetdicom x 2, no fsync": lambda: contestants.pynetdicom(at, 2),
        "ours, 1 worker, fsync": lambda: contestants.spooling(at),
        OURS: lambda: contestants.spooling(at, workers=WORKERS),
    }
    speeds: dict[str, list[Speed]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, begin in found.items():
            with begin() as receiver:
                speeds[name].append(_round(receiver, slices))
            shutil.rmtree(receiver.folder, ignore_errors=True)
    print_table(
        ("receiver", "MB/s", "CPU-s/GB", "peak MB", f"of {DCMTK}'s MB/s"),
        [
            (
                name,
                f"{statistics.median(each.rate for each in all_of):.0f}",
                f"{statistics.median(each.cpu for each in all_of):.1f}",
                f"{max(each.peak for each in all_of) / 1e6:.0f}",
                f"{ratio(all_of, speeds[DCMTK]):.2f}",
            )
            for name, all_of in speeds.items()
        ],
    )
    return [
        Bar(
            "4 associations, fsynced, MB/s of dcmtk's",
            ratio(speeds[OURS], speeds[DCMTK]),
            ">=",
            3,
        ),
        Bar(
            "4 associations, fsynced, receiver's CPU",
            statistics.median(each.cpu for each in speeds[OURS]),
            "<=",
            8,
            "CPU-s/GB",
            f"dcmtk {statistics.median(each.cpu for each in speeds[DCMTK]):.1f}",
        ),
    ]


def ratio(ours: list[Speed], theirs: list[Speed]) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(a.rate / b.rate for a, b in pairs)


def send(port: int, slices: Slices) -> float:
    """Send each folder on an association of its own; the seconds until all have.

    Raises:
        BenchError: a sender failed.
    """
    contestants.needs(_SENDER, "dcmtk")
    began = time.monotonic()
    senders = [
        subprocess.Popen(
            [_SENDER, "-q", "-aec", AE_TITLE, "+sd", "127.0.0.1", str(port), folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in slices.folders
    ]
    outputs = [sender.communicate(timeout=_SEND_S)[0] for sender in senders]
    seconds = time.monotonic() - began
    for sender, output in zip(senders, outputs, strict=True):
        if sender.returncode:
            raise BenchError(f"storescu failed:\n{output.decode(errors='replace')}")
    return seconds


def _round(receiver: Receiver, slices: Slices) -> Speed:
    before = receiver.server.usage()
    seconds = send(receiver.server.port, slices)
    after = receiver.server.usage()
    if receiver.stored() < slices.number:
        raise BenchError(
            f"{receiver.server.name} stored {receiver.stored()} of {slices.number}"
        )
    return Speed(
        slices.bytes / 1e6 / seconds,
        (after.cpu_s - before.cpu_s) / (slices.bytes / GB),
        after.peak,
    )
