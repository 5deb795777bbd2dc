"""Who gets through the door, over real sockets."""

import contextlib
import errno
import logging
import socket
import struct
import threading
import time

import pytest
from support.dimse_sender import (
    CT,
    EXPLICIT,
    RELEASE_RQ,
    DimseSender,
    RefusedError,
    associate_rq,
)
from support.instances import eventually

from isocenter.storescp.front.limits import Limits
from isocenter.storescp.front.listening import Listener, bind

REJECTED = {
    # calling, called: A-ASSOCIATE-RJ's result, source, reason (PS3.8 Table 9-21)
    ("CT2", "S3SCP"): (1, 1, 3),
    ("C\\T", "S3SCP"): (1, 1, 3),
    ("CT1", "OTHER"): (1, 1, 7),
}


def rejection(pdu):
    assert pdu[0] == 3
    return tuple(pdu[7:10])


def refusal_of(opened, **more):
    with opened.sender() as sender, pytest.raises(RefusedError) as refused:
        sender.associate(**more)
    return refused.value.pdu


def answer_to(opened, content):
    """What is answered before the connection ends, and whether it ends."""
    with opened.sender(timeout=5) as sender:
        sender.send(content)
        return sender.read_pdu()


def test_an_association_is_served_in_a_thread_of_its_own(open_door):
    opened = open_door()
    with opened.sender() as sender:
        sender.associate(calling="CT1")
        ((sock, negotiated),) = eventually(lambda: opened.served)
        assert sock.gettimeout() is None
        assert negotiated.peer.calling_ae == "CT1"
        assert negotiated.peer.address == "127.0.0.1"
        assert negotiated.peer.port == sender.sock.getsockname()[1]
        assert opened.registry.total() == 1
        assert opened.door.pending() == 0
        sender.send(RELEASE_RQ)
        assert sock.recv(10) == RELEASE_RQ
        opened.end.set()
        eventually(lambda: opened.registry.total() == 0)
        assert sender.read_pdu() == b""


def test_bytes_after_the_request_are_left_to_the_association(open_door):
    opened = open_door()
    with opened.sender() as sender:
        sender.send(associate_rq([(CT, EXPLICIT)]) + RELEASE_RQ)
        ((sock, _),) = eventually(lambda: opened.served)
        assert sock.recv(100) == RELEASE_RQ


@pytest.mark.parametrize(("titles", "why"), REJECTED.items())
def test_rejections(open_door, caplog, titles, why):
    opened = open_door(allowed=["CT1"])
    calling, called = titles
    assert rejection(refusal_of(opened, calling=calling, called=called)) == why
    (record,) = eventually(lambda: caplog.records)
    assert record.message == "association rejected"
    assert record.levelno == logging.WARNING
    assert record.peer == "127.0.0.1"
    assert getattr(record, "calling_ae", None) == (None if "\\" in calling else calling)
    assert not opened.served


def test_a_peer_from_elsewhere_is_rejected(open_door):
    opened = open_door(allowed=[{"aeTitle": "CT1", "cidrs": ["192.0.2.0/24"]}])
    assert rejection(refusal_of(opened, calling="CT1")) == (1, 1, 3)


def test_the_peer_closes_a_rejected_connection_or_we_do(open_door, monkeypatch):
    monkeypatch.setattr("isocenter.storescp.front.door._LINGER_S", 0.3)
    opened = open_door(allowed=["CT1"])
    with opened.sender() as sender:
        sender.send(associate_rq([(CT, EXPLICIT)], calling="CT2"))
        assert rejection(sender.read_pdu()) == (1, 1, 3)
        assert opened.door.pending() == 1
        assert sender.read_pdu() == b""
    eventually(lambda: opened.door.pending() == 0)


LIMITS = [
    Limits(associations=2),
    Limits(associations_per_peer=2),
]


@pytest.mark.parametrize("limits", LIMITS)
def test_limits_of_associations(open_door, limits):
    opened = open_door(limits=limits)
    with opened.sender() as first, opened.sender() as second:
        first.associate()
        second.associate()
        # Transient, presentation related, local limit exceeded (PS3.8 Table 9-21).
        assert rejection(refusal_of(opened)) == (2, 3, 2)
        if limits.associations_per_peer == 2:
            with opened.sender() as other:
                other.associate(calling="OTHER")
        opened.end.set()
        eventually(lambda: opened.registry.total() == 0)
    with opened.sender() as third:
        third.associate()


ABORTED = {
    "another PDU": (RELEASE_RQ, 2),
    "data": (b"\x04\0\0\0\0\x0a" + bytes(10), 2),
    "unknown type": (b"\x2a\0\0\0\0\x04", 1),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", 1),
    "TLS": (b"\x16\x03\x01\x02\0\x01", 1),
    "zeros": (bytes(64), 1),
    "4 GiB": (b"\x01\0\xff\xff\xff\xff", 6),
    "128 KiB and a byte": (b"\x01\0\0\x02\0\x01", 6),
    "nothing": (b"\x01\0\0\0\0\0", 6),
    "no items": (b"\x01\0\0\0\0\x44" + associate_rq([])[6:74], 6),
    "garbage": (b"\x01\0\0\0\1\0" + associate_rq([])[6:74] + bytes(range(188)), 6),
}


@pytest.mark.parametrize(("content", "reason"), ABORTED.values(), ids=ABORTED)
def test_what_is_no_request_is_aborted(open_door, caplog, content, reason):
    opened = open_door()
    # Source: service provider (PS3.8 Table 9-26).
    expected = struct.pack(">BxL4B", 7, 4, 0, 0, 2, reason)
    assert answer_to(opened, content) == expected
    (record,) = eventually(lambda: caplog.records)
    assert record.message == "association refused"
    assert not opened.served


def test_a_long_claim_is_refused_before_its_bytes_come(open_door):
    opened = open_door()
    with opened.sender() as sender:
        sender.send(b"\x01\0\xff\xff\xff\xff")
        assert sender.read_pdu()[0] == 7
        # What comes nonetheless is dropped, and not for long.
        with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
            sender.send(bytes(64 * 1024 * 1024))


def test_a_request_may_come_byte_by_byte(open_door):
    opened = open_door()
    with opened.sender() as sender:
        for byte in associate_rq([(CT, EXPLICIT)]):
            sender.send(bytes([byte]))
        assert sender.read_pdu()[0] == 2


def drip(sender, content):
    for byte in content:
        sender.send(bytes([byte]))
        time.sleep(0.02)


def test_a_dripping_peer_is_given_up(open_door, caplog):
    opened = open_door(limits=Limits(artim_s=0.4))
    began = time.monotonic()
    with opened.sender() as sender:
        with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
            drip(sender, associate_rq([(CT, EXPLICIT)]) * 10)
        assert 0.3 < time.monotonic() - began < 2
    (record,) = caplog.records
    assert (record.message, record.reason) == ("association refused", "timed_out")


def test_a_silent_peer_is_given_up(open_door):
    opened = open_door(limits=Limits(artim_s=0.3))
    with opened.sender(timeout=5) as sender:
        assert sender.read_pdu() == b""
    assert opened.door.pending() == 0


def test_probes_leave_nothing(open_door, caplog, descriptors):
    opened = open_door()
    before = descriptors(), threading.active_count()
    for number in range(1000):
        probe = socket.create_connection(("127.0.0.1", opened.port))
        if number % 2:  # reset instead of an orderly end
            linger = struct.pack("ii", 1, 0)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        probe.close()
    eventually(lambda: (descriptors(), threading.active_count()) == before)
    assert opened.door.pending() == 0
    assert not caplog.records


def test_silent_sockets_cost_no_thread_and_keep_nobody_out(open_door, descriptors):
    opened = open_door(limits=Limits(pending=64, pending_per_peer=32))
    threads, files = threading.active_count(), descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", opened.port)))
        eventually(
            lambda: (descriptors() - files, opened.door.pending()) == (300 + 32, 32)
        )
        assert threading.active_count() == threads
        began = time.monotonic()
        with opened.sender() as sender:
            sender.associate()
        assert time.monotonic() - began < 1
    eventually(lambda: opened.door.pending() == 0)


def test_the_peer_that_has_most_makes_room(open_door):
    opened = open_door(limits=Limits(pending=8, pending_per_peer=8))

    def connect(source):
        return socket.create_connection(
            ("127.0.0.1", opened.port), 5, source_address=(source, 0)
        )

    modest = [connect("127.0.0.2"), connect("127.0.0.2")]
    eventually(lambda: opened.door.pending() == 2)
    greedy = [connect("127.0.0.3") for _ in range(20)]
    eventually(lambda: opened.door.pending() == 8)
    for one in modest:
        DimseSender(one).associate()
    assert greedy[0].recv(1) == b""
    for one in (*modest, *greedy):
        one.close()


class Exhausted(socket.socket):
    """A listening socket for which there are no descriptors, twice."""

    left = 2

    def accept(self):
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_descriptors_the_door_waits_and_goes_on(open_door, caplog):
    listening = Exhausted(fileno=bind("127.0.0.1", 0).detach())
    opened = open_door(listener=Listener(listening, tls=False))
    with opened.sender() as sender:
        sender.associate()
    assert [r.message for r in caplog.records] == ["can't accept a connection"] * 2


def test_a_failing_association_gives_its_place_back(open_door, caplog):
    opened = open_door()
    opened.serve = lambda *_: 1 / 0
    with opened.sender() as sender:
        sender.associate()
        assert sender.read_pdu() == b""
    eventually(lambda: opened.registry.total() == 0)
    (record,) = caplog.records
    assert record.message == "association failed"


def test_closed_ports(open_door):
    opened = open_door()
    with opened.sender() as running, opened.sender() as waiting:
        running.associate()
        eventually(lambda: opened.door.pending() == 1)
        assert opened.door.listening()
        opened.door.stop_accepting()
        assert not opened.door.listening()
        with pytest.raises(ConnectionRefusedError):
            opened.sender()
        # A request on its way: transient, temporary congestion.
        waiting.send(associate_rq([(CT, EXPLICIT)]))
        assert rejection(waiting.read_pdu()) == (2, 3, 1)
        assert opened.registry.total() == 1
        opened.door.close()
        assert opened.door.pending() == 0


class Shared:
    """A board on which the others are as told."""

    def __init__(self, *, elsewhere=(0,), peer_elsewhere=None, less_busy=False):
        self.noted, self.of_peers, self.asked = [], {}, 0
        self.less_busy = less_busy
        self._elsewhere, self._peer_elsewhere = list(elsewhere), peer_elsewhere or {}

    def note(self, connections):
        self.noted.append(connections)

    def should_leave(self):
        self.asked += 1
        return self.less_busy

    def elsewhere(self):
        return self._elsewhere.pop(0) if self._elsewhere[1:] else self._elsewhere[0]

    def note_peer(self, peer, connections):
        self.of_peers.setdefault(peer, []).append(connections)

    def peer_elsewhere(self, peer):
        return self._peer_elsewhere.get(peer, 0)

    def leave(self):
        self.noted.append(None)


def test_a_connection_that_nobody_else_takes_is_taken(open_door):
    board = Shared(less_busy=True)
    opened = open_door(board=board)
    began = time.monotonic()
    with opened.sender() as sender:
        sender.associate()
    assert time.monotonic() - began < 1
    assert board.asked
    opened.end.set()
    eventually(lambda: board.noted[-1] == 0)
    assert 1 in board.noted


def test_associations_of_other_workers_count(open_door):
    opened = open_door(board=Shared(elsewhere=[2]), limits=Limits(associations=3))
    with opened.sender() as sender:
        sender.associate()
        assert rejection(refusal_of(opened)) == (2, 3, 2)


def test_associations_of_the_peer_in_other_workers_count(open_door):
    board = Shared(peer_elsewhere={"CT1 127.0.0.1": 2})
    opened = open_door(board=board, limits=Limits(associations_per_peer=3))
    with opened.sender() as sender, opened.sender() as other:
        sender.associate(calling="CT1")
        assert rejection(refusal_of(opened, calling="CT1")) == (2, 3, 2)
        other.associate(calling="CT2")
        assert board.of_peers == {"CT1 127.0.0.1": [1], "CT2 127.0.0.1": [1]}
        opened.end.set()
        eventually(lambda: board.of_peers["CT1 127.0.0.1"] == [1, 0])


def test_who_takes_the_last_place_with_another_worker_gives_way(open_door):
    # Another worker takes it between the look at the board and the note on it.
    board = Shared(elsewhere=[2, 3])
    opened = open_door(board=board, limits=Limits(associations=3))
    assert rejection(refusal_of(opened, calling="CT1")) == (2, 3, 2)
    assert opened.registry.total() == 0
    assert board.of_peers == {"CT1 127.0.0.1": [1, 0]}
    assert board.noted[-2:] == [1, 0]
    assert not opened.served
