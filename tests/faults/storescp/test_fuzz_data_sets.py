"""Mutated instances in well-formed requests, to the real process: each is answered
with a status that says what is wrong with it, or is kept as it came.

100,000 of them with ``SOAK=100``; how to go on and to repeat: progress.py.
"""

import hashlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.storescp import files, wire
from faults.storescp.peer import GoneError, Peer
from faults.storescp.progress import Numbers, amount, tell
from faults.storescp.service import Service
from support.instances import eventually
from support.s3_sink import S3Sink

HANG_S = 5.0
FILES = amount(2_000, 100_000)
SENDERS = 4
SUCCESS, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA900, 0xC000


class Sender:
    """One thread's association."""

    def __init__(self, port):
        self._port = port
        self._own = threading.local()
        self.peers = []

    def send(self, sent):
        peer = getattr(self._own, "peer", None)
        if peer is None:
            peer = Peer(self._port, contexts=files.CONTEXTS, timeout=HANG_S)
            self._own.peer = peer
            self.peers.append(peer)
        return peer.store(sent.uid, sent.content, number=sent.number)


@pytest.mark.timeout(amount(120, 2 * 3600))
def test_mutated_data_sets(tmp_path):
    numbers = Numbers("files", FILES, 500)
    kept, refused, statuses, slowest = [], set(), Counter(), 0.0

    def one(number):
        sent = files.mutated(numbers.seed, number)
        began = time.monotonic()
        try:
            status = sender.send(sent)
        except (GoneError, AssertionError) as error:
            error.add_note(f"alone: {numbers.again(number)}")
            raise
        took = time.monotonic() - began
        assert took < HANG_S, numbers.again(number)
        assert status in {SUCCESS, MISMATCH, NOT_UNDERSTOOD}, (
            f"{status:04X} {numbers.again(number)}"
        )
        assert status == SUCCESS or not sent.good, (
            f"{status:04X} for a good one, {numbers.again(number)}"
        )
        return sent, status, took

    with (
        S3Sink(keep=1 << 22) as s3,
        Service(tmp_path, s3, watched=True) as service,
        ThreadPoolExecutor(SENDERS) as senders,
    ):
        sender = Sender(service.port)
        began = time.monotonic()
        for piece in numbers:
            for sent, status, took in senders.map(one, piece):
                statuses[status] += 1
                slowest = max(slowest, took)
                digest = hashlib.sha256(sent.content).hexdigest()
                if status == SUCCESS:
                    kept.append((sent.uid, digest))
                elif sent.content:
                    refused.add(digest)
        took = time.monotonic() - began
        for peer in sender.peers:
            peer.release()
        tell(
            f"mutated files: seed {numbers.seed}, numbers {numbers.first} to"
            f" {numbers.total - 1}: {FILES / took:.0f}/s, statuses"
            f" { {f'{s:04X}': n for s, n in sorted(statuses.items())} }, slowest"
            f" {slowest:.2f} s, {service.rss() >> 20} MiB resident"
        )
        eventually(service.empty, 60)
        assert service.stop() == 0
        assert not service.strays()
        assert not service.unexpected()
        _as_sent(s3, kept, refused)
    if numbers.whole():
        assert {SUCCESS, MISMATCH, NOT_UNDERSTOOD} == set(statuses)


def _as_sent(s3, kept, refused):
    """What was kept is in S3 as it came; what was refused is in quarantine alone."""
    stored, quarantined = set(), set()
    for name in s3.objects():
        if not name.endswith(".dcm"):
            continue
        digest = hashlib.sha256(wire.data_set_of(s3.get(name))).hexdigest()
        if name.startswith("inbox/DICOM/"):
            uid = name.rsplit("/", 1)[1].removesuffix(".dcm").split("-")[0]
            stored.add((uid, digest))
        else:
            assert name.startswith("inbox/quarantine/"), name
            quarantined.add(digest)
    assert stored == set(kept)
    assert quarantined == refused
