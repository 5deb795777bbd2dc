"""Mutated conversations against the real process: every connection comes to an end
in time, nothing is written where it must not be, and good peers go on undisturbed.

One million PDUs with ``SOAK=100``; how to go on and to repeat: progress.py.
"""

import contextlib
import random
import socket
import struct
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.storescp import wire
from faults.storescp.peer import Peer
from faults.storescp.progress import LONG, Numbers, amount, tell
from faults.storescp.service import Service
from faults.storescp.streams import stream
from support.instances import eventually
from support.s3_sink import S3Sink

HANG_S = 5.0
STREAMS = amount(2_500, 60_000)
SENDERS = 4
_PIECE = 250


class HangError(AssertionError):
    """The service did not end a connection whose peer had ended it."""


def converse(port, number, sent):
    """Send a stream; answers the bytes that came back."""
    source = (f"127.0.3.{number % 250 + 1}", 0)
    answers = bytearray()
    with socket.create_connection(("127.0.0.1", port), HANG_S, source) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _send(connection, sent.request, sent.pieces)
            if sent.patient:
                # Until it answers; it need not, to a request that is cut.
                connection.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    answers += connection.recv(65536)
                connection.settimeout(HANG_S)
            _send(connection, b"".join(sent.rest), sent.pieces)
            connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise HangError(f"takes nothing for {HANG_S} s") from None
        except OSError:
            pass  # it went first, as it may
        deadline = time.monotonic() + HANG_S
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                raise HangError(f"still open {HANG_S} s after its peer left") from None
            except OSError:
                return bytes(answers), False
            if not piece:
                return bytes(answers), True
            answers += piece


def _send(connection, content, pieces):
    pieces = max(pieces, len(content) // 200) if pieces else len(content)
    for at in range(0, len(content), pieces or 1):
        connection.sendall(content[at : at + pieces])


def acknowledged(answers, whole):
    """SOP Instance UIDs of the C-STORE responses that say success.

    What came must be PDUs that an acceptor may send, and nothing between them.
    """
    at, stored = 0, []
    while at + 6 <= len(answers):
        kind, length = struct.unpack_from(">BxI", answers, at)
        assert kind in range(2, 8), f"a PDU of type {kind}"
        assert length <= 1 << 20, f"a PDU of {length} bytes"
        body = answers[at + 6 : at + 6 + length]
        at += 6 + length
        if kind == wire.DATA and len(body) == length and body[5] == 3:
            found = wire.elements_of(body[6:])
            kind, status = (struct.unpack("<H", found[t])[0] for t in (0x100, 0x900))
            if (kind, status) == (0x8001, 0):
                stored.append(found[0x1000].rstrip(b"\0").decode())
    assert at == len(answers) or not whole, "half a PDU, then an orderly end"
    return stored


def _kinds(answers):
    return answers[0] if answers else 0


@pytest.mark.timeout(amount(120, 4 * 3600))
def test_mutated_conversations(tmp_path):
    numbers = Numbers("pdus", STREAMS, _PIECE)
    stored, good, first, pdus, slowest = [], 0, Counter(), 0, 0.0

    def one(number):
        sent = stream(numbers.seed, number)
        try:
            answers, whole = converse(service.port, number, sent)
            return sent, answers, acknowledged(answers, whole)
        except BaseException as error:
            error.add_note(f"alone: {numbers.again(number)}")
            raise

    with (
        S3Sink() as s3,
        Service(tmp_path, s3, watched=True, maximum_associations=64) as service,
        ThreadPoolExecutor(SENDERS) as senders,
    ):
        threads = service.threads()
        began = time.monotonic()
        for piece in numbers:
            for sent, answers, uids in senders.map(one, piece):
                pdus += sent.pdus
                stored += uids
                first[_kinds(answers)] += 1
                if sent.good and sent.patient:
                    good += 1
                    assert answers[:1] == bytes([wire.AC]), answers[:16]
            slowest = max(slowest, _good_peer(service, stored, piece.start))
            assert service.process.poll() is None, "the process ended"
        took = time.monotonic() - began
        eventually(lambda: service.threads() <= threads + 8, 10)
        tell(
            f"mutated conversations: seed {numbers.seed}, numbers {numbers.first} to"
            f" {numbers.total - 1}: {pdus} PDUs, {pdus / took:.0f}/s, answers by"
            f" type of the first PDU {dict(sorted(first.items()))}, {good} without"
            f" a fault, {len(stored)} instances acknowledged, {service.rss() >> 20} MiB"
            f" resident, slowest association of a good peer {slowest:.2f} s"
        )
        eventually(service.empty, 60)
        assert service.stop() == 0
        assert not service.strays()
        assert not service.unexpected()
        _all_in_s3(s3, stored)
    if numbers.whole():
        assert good > 50
        assert {0, wire.AC, wire.RJ, wire.ABORT} <= set(first)
        assert pdus >= amount(15_000, 1_000_000) or not LONG


def _good_peer(service, stored, number):
    """A good peer's association in the midst of it; answers the seconds it took."""
    began = time.monotonic()
    uid = wire.uid_of(number)
    with Peer(service.port, source="127.0.0.9", timeout=HANG_S) as peer:
        assert peer.echo() == 0
        assert peer.store(uid, wire.data_set(uid, 20_000)) == 0
        peer.release()
    stored.append(uid)
    return time.monotonic() - began


def _all_in_s3(s3, stored):
    """What was acknowledged is there, under a name made of a UID and no other."""
    names = s3.objects()
    keys = [name.split("/", 1)[1] for name in names]
    assert all(
        set(key) <= set("0123456789abcdefghijklmnopqrstuvwxyz-_.DICOM/") for key in keys
    )
    assert all(".." not in key and "//" not in key for key in keys)
    found = {key.rsplit("/", 1)[1] for key in keys if key.startswith("DICOM/")}
    held = {name.removesuffix(".dcm").split("-")[0] for name in found}
    assert set(stored) <= held
    chosen = random.Random(len(names)).sample(sorted(names), min(200, len(names)))
    for name in chosen:
        if "/DICOM/" in f"/{name}":
            wire.data_set_of(s3.get(name))
