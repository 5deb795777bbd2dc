"""Eight senders, workers killed, S3 failing, the volume full: every acknowledged
instance is in S3, as it was sent.

10,000 instances and more with ``SOAK=100``, a tenth of it without.
"""

import hashlib
import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from faults.storescp import wire
from faults.storescp.peer import GoneError, Peer
from faults.storescp.progress import LONG, amount, tell
from faults.storescp.service import Service
from faults.storescp.volume import small_volume
from support.instances import eventually
from support.s3_sink import S3Sink

INSTANCES = amount(1_000, 10_000)
KILLS = amount(4, 20)
KILL_EVERY_S = 5.0
SENDERS = 8
PAUSE_S = 0.0 if LONG else 0.03
"""Between two instances; the short version is to be kills, not instances."""
VOLUME = 64 << 20
SUCCESS, FULL = 0x0000, 0xA700
FAULTS = {"share_503": 0.05, "share_torn": 0.01}


@dataclass
class Traffic:
    """What the senders share.

    Attributes:
        acknowledged: (SOP Instance UID, SHA-256 of the data set) pairs.
        large: whether instances are large now, to fill the volume.
    """

    port: int
    acknowledged: set = field(default_factory=set)
    statuses: Counter = field(default_factory=Counter)
    broken: int = 0
    unlike: int = 0
    large: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _sender(traffic, number):
    """A modality: sends each instance until it is taken, over one association after
    the other."""
    chance = random.Random(number)
    sent, peer = 0, None
    while not traffic.stop.is_set():
        sent += 1
        uid = wire.uid_of(number * 10**9 + sent)
        size = (
            900_000
            if traffic.large.is_set()
            else chance.choice((6_000, 24_000, 60_000))
        )
        content = wire.data_set(uid, size)
        peer = _until_taken(traffic, peer, number, uid, content)
        if chance.random() < 0.02:  # the same UID for something else
            with traffic.lock:
                traffic.unlike += 1
            peer = _until_taken(traffic, peer, number, uid, content[:-2] + b"\1\2")
        if chance.random() < 0.02 and peer is not None:
            peer = _released(peer)
        traffic.stop.wait(PAUSE_S)
    if peer is not None:
        _released(peer)


def _until_taken(traffic, peer, number, uid, content):
    digest = hashlib.sha256(content).hexdigest()
    while not traffic.stop.is_set():
        try:
            peer = peer or Peer(traffic.port, source=f"127.0.0.{10 + number}")
            status = peer.store(uid, content)
        except GoneError:
            peer = peer and peer.close()
            with traffic.lock:
                traffic.broken += 1
            time.sleep(0.1)
            continue
        with traffic.lock:
            traffic.statuses[status] += 1
            if status == SUCCESS:
                traffic.acknowledged.add((uid, digest))
                return peer
        assert status == FULL, f"status {status:04X}"
        time.sleep(0.2)
    return peer


def _released(peer):
    try:
        peer.release()
    except GoneError:
        peer.close()


@pytest.mark.timeout(amount(300, 3600))
def test_every_acknowledged_instance_is_in_s3(tmp_path):
    chance = random.Random(20261123)
    with (
        small_volume(tmp_path / "volume", VOLUME) as volume,
        S3Sink() as s3,
        Service(
            tmp_path / "service",
            s3,
            workers=2,
            spool=volume / "spool",
            batch_max_instances=200,
            batch_quiet_s=1,
            batch_max_age_s=5,
        ) as service,
    ):
        s3.faults(**FAULTS)
        traffic = Traffic(service.port)
        began = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as senders:
            running = [senders.submit(_sender, traffic, n) for n in range(SENDERS)]
            try:
                kills = _kill_and_fill(chance, service, s3, traffic, running)
            finally:
                traffic.stop.set()
            for each in running:
                each.result()
        sent_s = time.monotonic() - began
        eventually(service.empty, amount(60, 300))
        stats = s3.stats()
        s3.faults()
        eventually(lambda: _listed(s3) >= len(traffic.acknowledged), 60)
        drained_s = time.monotonic() - began - sent_s
        assert service.stop() == 0
        missing, altered, unlisted = _compare(s3, traffic.acknowledged)
        tell(
            f"soak: {len(traffic.acknowledged)} acknowledged ({traffic.unlike} times"
            f" another instance of the same UID) in {sent_s:.0f} s, {kills} workers"
            f" killed, {traffic.broken} associations broken off,"
            f" {traffic.statuses[FULL]} times refused while the volume was full; S3:"
            f" {stats['puts']} objects, {stats['answered_503']} times 503,"
            f" {stats['torn']} connections torn; drained {drained_s:.0f} s after the"
            f" last; {len(missing)} missing, {len(altered)} altered,"
            f" {unlisted} objects in no manifest"
        )
        assert not missing
        assert not altered
        assert s3.stats()["altered"] == 0
        assert traffic.statuses[FULL]
        assert not service.unexpected("worker ended")


def _kill_and_fill(chance, service, s3, traffic, running):
    """Kill a worker now and then, take S3 away once until the volume is full, and
    answer how many were killed when all is done that there is to do."""
    kills, filled = 0, False
    due = time.monotonic() + KILL_EVERY_S
    while len(traffic.acknowledged) < INSTANCES or kills < KILLS or not filled:
        time.sleep(0.05)
        for each in running:
            if each.done():
                each.result()
        if time.monotonic() >= due:
            kills += service.kill_one(chance)
            due = time.monotonic() + KILL_EVERY_S
        if not traffic.large.is_set() and not filled and kills >= KILLS // 2:
            s3.faults(away=True)
            traffic.large.set()
        if traffic.large.is_set() and traffic.statuses[FULL] >= 2 * SENDERS:
            s3.faults(**FAULTS)
            traffic.large.clear()
            filled = True
            _takes_again(traffic)
    return kills


def _takes_again(traffic):
    """Wait until the service takes instances again, by itself."""
    before = len(traffic.acknowledged)
    eventually(lambda: len(traffic.acknowledged) > before + SENDERS, 60)


def _manifests(s3):
    return [
        json.loads(s3.get(name)) for name in s3.objects() if "/batches/" in f"/{name}"
    ]


def _listed(s3):
    return sum(len(manifest["instances"]) for manifest in _manifests(s3))


def _compare(s3, acknowledged):
    """Acknowledged instances that no manifest lists as they were sent; objects that
    are not what their manifest says; and how many objects no manifest lists."""
    objects = s3.objects()
    found, altered, listed = set(), [], set()
    for manifest in _manifests(s3):
        for each in manifest["instances"]:
            name = f"inbox/{each['key']}"
            listed.add(name)
            if objects.get(name) != (each["bytes"], each["sha256"]):
                altered.append(name)
                continue
            content = wire.data_set_of(s3.get(name))
            digest = hashlib.sha256(content).hexdigest()
            found.add((each["sopInstanceUid"], digest))
    unlisted = {name for name in objects if name.startswith("inbox/DICOM/")} - listed
    return acknowledged - found, altered, len(unlisted)
