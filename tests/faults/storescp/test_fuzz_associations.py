"""Mutated conversations through negotiation and association in this process: a
hundred times as many as over sockets, and what happens inside is seen.

Two million PDUs with ``SOAK=100``; how to go on and to repeat: progress.py.
"""

import logging
import random
import struct
import time
from collections import Counter

import pytest
from faults.storescp import wire
from faults.storescp.progress import Numbers, amount, tell
from faults.storescp.streams import stream

from isocenter.storescp.association.association import Association
from isocenter.storescp.association.negotiation import Acceptance, negotiate
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.refusal import Refused
from isocenter.storescp.dimse.dispatch import Services
from isocenter.storescp.dimse.service import ActionResponse, Outcome
from isocenter.storescp.peers import AllowedPeer, Caller
from isocenter.storescp.status import StoreRefusedError, StoreStatus

HANG_S = 5.0
STREAMS = amount(5_000, 200_000)
ACCEPTANCE = Acceptance(frozenset({"S3SCP"}), [AllowedPeer(aeTitle="*")], max_pdu=32768)
PATIENCE = Patience()


class Connection:
    """A transport whose peer has sent everything already, and reads all or breaks."""

    def __init__(self, content, rng):
        self._content, self._at = content, 0
        self._rng = rng
        self._most = rng.choice((7, 500, 1 << 20, 1 << 20))
        self._breaks = rng.random() < 0.02
        self.broken = False
        self.sent = bytearray()
        self.closed = 0

    def receive(self, into, *, whole):
        assert not self.closed, "receives after the end"
        assert len(into), "would take an empty answer for the peer's end"
        count = len(into) if whole else min(len(into), self._most)
        piece = self._content[self._at : self._at + count]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def send(self, content):
        assert not self.closed, "sends after the end"
        self.broken |= self._breaks and self._rng.random() < 0.5
        if self.broken:
            raise ConnectionResetError(104, "Connection reset by peer")
        self.sent += content

    def wake(self, how):
        pass

    def close(self):
        self.closed += 1


class Store:
    """Takes instances, refuses some, and watches how it is used."""

    def __init__(self, rng):
        self._rng = rng
        self.sinks = []

    def open(self, command, peer):
        if self._rng.random() < 0.05:
            raise StoreRefusedError(StoreStatus.OUT_OF_RESOURCES, "full")
        sink = Sink(self._rng.choice(("keep", "keep", "keep", "write", "finish")))
        self.sinks.append(sink)
        return sink


class Sink:
    def __init__(self, fails):
        self._fails = fails
        self.ends = []
        self.size = 0

    def write(self, piece):
        assert not self.ends, "writes after the end"
        assert len(piece), "an empty piece"
        self.size += len(piece)
        if self._fails == "write" and self.size > 100:
            raise OSError(28, "No space left on device")

    def finish(self):
        self.ends.append("finish")
        if self._fails == "finish":
            raise StoreRefusedError(StoreStatus.CANNOT_UNDERSTAND, "unlike")
        return Outcome(StoreStatus.SUCCESS, bytes=self.size)

    def abandon(self):
        self.ends.append("abandon")


class Actions:
    def action(self, request, association):
        assert len(request.information) <= 1 << 24
        return ActionResponse(0)


class Errors(logging.Handler):
    """Keeps what is logged as an error of ours."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        if record.levelno >= logging.ERROR or record.exc_info:
            self.found.append(self.format(record))


@pytest.fixture
def errors():
    handler = Errors()
    logger = logging.getLogger("isocenter.storescp")
    logger.addHandler(handler)
    yield handler.found
    logger.removeHandler(handler)


def answered(sent):
    """What the service sent: PDU types and C-STORE statuses."""
    at, kinds, statuses, command = 0, [], [], b""
    while at < len(sent):
        kind, length = struct.unpack_from(">BxI", sent, at)
        body = bytes(sent[at + 6 : at + 6 + length])
        assert len(body) == length, "half a PDU"
        at += 6 + length
        kinds.append(kind)
        while kind == wire.DATA and body:
            size, _, control = struct.unpack_from(">IBB", body)
            command += body[6 : 4 + size]
            body = body[4 + size :]
            assert control & 1, "a data set nobody asked for"
            if control & 2:
                statuses += _store_status(wire.elements_of(command))
                command = b""
    last = {wire.RELEASE_RP, wire.ABORT}
    assert set(kinds) <= {wire.DATA, *last}
    assert not last & set(kinds[:-1]), "something after the end"
    return kinds, statuses


def _store_status(found):
    (kind,) = struct.unpack("<H", found[0x100])
    return struct.unpack("<H", found[0x900]) if kind == 0x8001 else ()


def converse(seed, number, outcomes):
    """One conversation; counts how it went, and answers its PDUs."""
    sent = stream(seed, number)
    rng = random.Random(~number)
    found = negotiate(sent.request, ACCEPTANCE, Caller("192.0.2.1"), 104)
    if isinstance(found, Refused):
        kind = found.answer[0]
        assert kind in {wire.RJ, wire.ABORT}
        assert len(found.answer) == 10
        assert not sent.good
        outcomes[f"refused {kind}"] += 1
        return 1
    assert found.answer[0] == wire.AC
    assert all(each & 1 for each in found.contexts)
    store = Store(rng)
    connection = Connection(b"".join(sent.rest), rng)
    association = Association(
        connection, found, Services(store, Actions()), PATIENCE, {}
    )
    end = association.run()
    outcomes[end.outcome] += 1
    assert connection.closed == 1
    for sink in store.sinks:
        assert len(sink.ends) == 1, f"a sink ended by {sink.ends}"
    kinds, statuses = answered(connection.sent)
    finished = sum(sink.ends == ["finish"] for sink in store.sinks)
    if end.outcome == "released" and not connection.broken:
        assert kinds[-1] == wire.RELEASE_RP
        assert finished <= len(statuses)
    assert statuses.count(0) <= finished
    return sent.pdus


@pytest.mark.timeout(amount(120, 2 * 3600))
def test_mutated_conversations(errors):
    numbers = Numbers("associations", STREAMS, 1_000)
    outcomes, pdus, slowest = Counter(), 0, 0.0
    began = time.monotonic()
    for piece in numbers:
        for number in piece:
            at = time.monotonic()
            try:
                pdus += converse(numbers.seed, number, outcomes)
                assert not errors, errors[0]
            except BaseException as error:
                error.add_note(f"alone: {numbers.again(number)}")
                raise
            slowest = max(slowest, time.monotonic() - at)
            assert slowest < HANG_S, numbers.again(number)
    rate = pdus / (time.monotonic() - began)
    tell(
        f"mutated conversations in process: seed {numbers.seed}, numbers"
        f" {numbers.first} to {numbers.total - 1}: {pdus} PDUs, {rate:.0f}/s,"
        f" {dict(sorted(outcomes.items()))}, slowest {slowest:.3f} s"
    )
    if numbers.whole():
        assert {"released", "aborted", "refused 3", "refused 7"} == set(outcomes)
