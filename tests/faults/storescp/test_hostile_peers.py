"""A thousand silent connections, a hundred that say a byte a second, fifty that claim
4 GiB: the service stays small and goes on serving the others.

``SOAK=100`` also measures how much slower it serves them, in turns of calm and attack.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.storescp import attack as attack_script
from faults.storescp import wire
from faults.storescp.peer import Peer
from faults.storescp.progress import LONG, amount, tell
from faults.storescp.service import Service
from support.instances import eventually
from support.s3_sink import S3Sink

SILENT, SLOW, CLAIMS = 1000, 100, 50
TURN_S = amount(4, 12)
ROUNDS = amount(1, 3)
SENDERS = 4
ASSOCIATIONS = 64
MOST_RESIDENT = 256 << 20


@contextmanager
def attack(port, told):
    """The attackers at work; ``told`` gets what they say at the end."""
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(attack_script.__file__)),
            *map(str, (port, SILENT, SLOW, CLAIMS)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(2)  # until all are there
        yield
    finally:
        process.terminate()
        told.append(process.communicate(timeout=20)[0])


def echoes(port, seconds):
    """Seconds of each association with one C-ECHO, from connection to release."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        with Peer(port, source="127.0.0.9") as peer:
            assert peer.echo() == 0
            peer.release()
        times.append(time.monotonic() - began)
        time.sleep(0.02)
    return times


@dataclass(frozen=True)
class Rate:
    """Bytes that four good senders got acknowledged, for a second of the clock and for
    one of the service's CPU, which what else the machine does changes less."""

    clock: float
    cpu: float


def throughput(service, seconds, first):
    """The rate of that many seconds."""
    sizes, stop = [], threading.Event()
    eventually(service.empty, 60)  # an earlier turn's uploads would count in this one
    used = service.cpu()

    def send(number):
        with Peer(service.port, source=f"127.0.0.{20 + number}") as peer:
            count = 0
            while not stop.is_set():
                uid = wire.uid_of((first + number) * 10**6 + count)
                head = wire.data_set(uid, 2_000)
                assert peer.store(uid, head + _more(500_000)) == 0
                sizes.append(len(head) + 500_000)
                count += 1
            peer.release()

    with ThreadPoolExecutor(SENDERS) as senders:
        running = [senders.submit(send, n) for n in range(SENDERS)]
        time.sleep(seconds)
        stop.set()
        for each in running:
            each.result()
    return Rate(sum(sizes) / seconds, sum(sizes) / (service.cpu() - used))


def _more(count, made={}):  # noqa: B006 - made once
    """An element after the pixels that costs a sender nothing to make."""
    if count not in made:
        made[count] = wire.explicit(0xFFFCFFFC, "OB", bytes(count - 12))
    return made[count]


@pytest.mark.timeout(amount(120, 1800))
def test_hostile_peers(tmp_path):
    calm, attacked, times, told, most, threads = [], [], [], [], 0, 0
    with (
        S3Sink() as s3,
        Service(
            tmp_path,
            s3,
            maximum_associations=ASSOCIATIONS,
        ) as service,
    ):
        quiet_threads = service.threads()
        quiet_descriptors = service.descriptors()
        for turn in range(ROUNDS):
            calm.append(throughput(service, TURN_S, turn * 100))
            with attack(service.port, told):
                times += echoes(service.port, TURN_S)
                threads = max(threads, service.threads())
                attacked.append(throughput(service, TURN_S, turn * 100 + 50))
                most = max(most, service.rss())
            most = max(most, service.peak())
        eventually(lambda: service.threads() <= quiet_threads + 4, 60)
        eventually(lambda: service.descriptors() <= quiet_descriptors + 16, 60)
        times.sort()
        p99 = times[int(len(times) * 0.99)]
        turns = list(zip(calm, attacked, strict=True))
        ratios = [under.clock / free.clock for free, under in turns]
        by_cpu = statistics.median(under.cpu / free.cpu for free, under in turns)
        opened = [json.loads(each)["opened"] for each in told]
        tell(
            f"hostile: {SILENT} silent, {SLOW} slow, {CLAIMS} claims of 4 GiB"
            f" (opened {opened}): {most >> 20} MiB resident at most, {threads} threads,"
            f" association with C-ECHO p50 {statistics.median(times) * 1000:.0f} ms,"
            f" p99 {p99 * 1000:.0f} ms of {len(times)}; store throughput"
            f" {statistics.median(ratios):.2f} of calm"
            f" ({', '.join(f'{each:.2f}' for each in ratios)};"
            f" calm {statistics.median(each.clock for each in calm) / 1e6:.0f} MB/s),"
            f" for a second of CPU {by_cpu:.2f} of calm"
        )
        assert not service.unexpected()
        assert service.stop() == 0
    assert most < MOST_RESIDENT
    assert threads <= quiet_threads + ASSOCIATIONS + 8
    assert p99 < 1 or not LONG
    assert p99 < 5
    assert statistics.median(ratios) >= 0.8 or not LONG
