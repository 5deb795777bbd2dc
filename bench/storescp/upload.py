"""The same with the upload beside it, against an uploader that does nothing else."""

import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.bars import Bar, print_table
from bench.proxy.processes import BenchError, usage_of
from bench.storescp import contestants
from bench.storescp.contestants import WORKERS, Place, Receiver
from bench.storescp.parallel import ASSOCIATIONS, GB, send
from bench.storescp.slices import Slices, make
from tests.support.s3_sink import S3Sink

_THREADS = 4
_KEEP = 64 * 1024
"""Bytes of the largest object that the S3 of the benchmark keeps: a manifest."""
_DRAIN_S = 300.0


@dataclass(frozen=True)
class Upload:
    """One round: rates in MB (1e6 bytes) a second, CPU seconds for a GB (1e9 bytes).

    Attributes:
        acknowledged: rate until the last sender ended.
        stored: rate until S3 had everything.
        cpu: the receiver's, or the uploader's.
    """

    acknowledged: float
    stored: float
    cpu: float


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    rounds, each = (2, 100) if at.short else (5, 100)
    slices = make(at.new("slices"), associations=ASSOCIATIONS, each=each)
    print(
        f"upload: the same {slices.number} slices on to a local S3, and boto3's"
        f" put_object alone in {WORKERS} processes of {_THREADS} threads;"
        f" {rounds} rounds in turn, medians"
    )
    bare: list[Upload] = []
    ours: list[Upload] = []
    for _ in range(rounds):
        with S3Sink(keep=_KEEP) as s3:
            bare.append(_bare(s3, slices))
        with (
            S3Sink(keep=_KEEP) as s3,
            contestants.ours(at, s3.environment(), workers=WORKERS) as receiver,
        ):
            ours.append(_round(receiver, s3, slices))
        shutil.rmtree(receiver.folder, ignore_errors=True)
    print_table(
        ("", "acknowledged MB/s", "in S3 MB/s", "CPU-s/GB", ""),
        [
            (
                name,
                f"{statistics.median(each.acknowledged for each in rows):.0f}",
                f"{statistics.median(each.stored for each in rows):.0f}",
                f"{statistics.median(each.cpu for each in rows):.1f}",
                "",
            )
            for name, rows in (("boto3 alone", bare), ("ours", ours))
        ],
    )
    pairs = list(zip(ours, bare, strict=True))
    return [
        Bar(
            "with upload, MB/s into S3 of a bare uploader's",
            statistics.median(a.stored / b.stored for a, b in pairs),
            ">=",
            0.8,
        ),
        Bar(
            "with upload, receiver's CPU",
            statistics.median(each.cpu for each in ours),
            "<=",
            8,
            "CPU-s/GB",
            f"boto3 alone {statistics.median(each.cpu for each in bare):.1f}",
        ),
    ]


def _round(receiver: Receiver, s3: S3Sink, slices: Slices) -> Upload:
    before = receiver.server.usage().cpu_s
    began = time.monotonic()
    acknowledged = send(receiver.server.port, slices)
    while s3.stats()["puts"] < slices.number:
        if time.monotonic() - began > _DRAIN_S:
            raise BenchError(f"S3 has {s3.stats()['puts']} of {slices.number}")
        time.sleep(0.05)
    seconds = time.monotonic() - began
    cpu = receiver.server.usage().cpu_s - before
    instances = [name for name in s3.objects() if name.endswith(".dcm")]
    if len(instances) < slices.number:
        raise BenchError(f"S3 has {len(instances)} of {slices.number}")
    total = slices.bytes
    return Upload(total / 1e6 / acknowledged, total / 1e6 / seconds, cpu / (total / GB))


def _bare(s3: S3Sink, slices: Slices) -> Upload:
    """boto3 in as many processes as the Store SCP has."""
    uploaders = []
    for number in range(WORKERS):
        folders = slices.folders[number::WORKERS]
        module = ["-m", "bench.storescp.bare_uploader", "bench", f"{number}/"]
        uploaders.append(
            subprocess.Popen(
                [sys.executable, *module, str(_THREADS), *map(str, folders)],
                cwd=Path(__file__).parents[2],
                env={"PATH": "/usr/bin", **s3.environment()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    try:
        for each in uploaders:
            _line(each)
        contestants.settle()
        before = sum(usage_of(each.pid).cpu_s for each in uploaders)
        began = time.monotonic()
        for each in uploaders:
            _go(each)
        for each in uploaders:
            _line(each)
        seconds = time.monotonic() - began
        cpu = sum(usage_of(each.pid).cpu_s for each in uploaders) - before
    finally:
        for each in uploaders:
            each.communicate("\n")
    if s3.stats()["objects"] != slices.number:
        raise BenchError(f"S3 has {s3.stats()['objects']} of {slices.number}")
    rate = slices.bytes / 1e6 / seconds
    return Upload(rate, rate, cpu / (slices.bytes / GB))


def _go(uploader: "subprocess.Popen[str]") -> None:
    if uploader.stdin is not None:
        uploader.stdin.write("\n")
        uploader.stdin.flush()


def _line(uploader: "subprocess.Popen[str]") -> str:
    line = "" if uploader.stdout is None else uploader.stdout.readline()
    if not line:
        raise BenchError("the bare uploader failed")
    return line
