"""Associations as their peers see them: what is answered, and how they end."""

import errno
import logging
import random
import socket
import struct
import threading
import time

import pytest
from prometheus_client import REGISTRY
from support.dimse_sender import (
    ABORT,
    CT,
    EXPLICIT,
    IMPLICIT,
    NO_DATA_SET,
    RELEASE_RQ,
    VERIFICATION,
    command_set,
    message_pdus,
    p_data,
    pdv,
    store_command,
)

from isocenter.core.errors import MalformedError
from isocenter.storescp.association.reader import BUFFER_BYTES, Patience
from isocenter.storescp.dimse.telling import MOST_TOLD
from isocenter.storescp.status import StoreRefusedError, StoreStatus

DATA = random.Random(6).randbytes(700_001)


def aborted(sender):
    """Source and reason of the A-ABORT that comes, after which the peer closes."""
    pdu = sender.read_pdu()
    assert pdu[:1] == b"\x07", pdu
    assert sender.read_pdu() == b""
    return pdu[8], pdu[9]


def test_an_instance_comes_out_as_it_went_in(connect, store):
    sender = connect()
    assert sender.store("1.2.3", DATA) == 0
    assert store.kept == {"1.2.3": DATA}
    assert sender.release()


@pytest.mark.parametrize("seed", range(6))
def test_however_it_is_cut_into_pdus_values_and_packets(connect, store, seed):
    """Fragments of 0 to 300,000 bytes, some in one PDU, sent in pieces of any size."""
    rng = random.Random(seed)
    sender = connect(own_max_pdu=1024 * 1024)
    pdvs = [pdv(1, 1, b""), pdv(1, 3, command_set(store_command("1.2.3")))]
    at = 0
    while at < len(DATA):
        size = rng.choice([0, 1, 2, 7, 4096, 65536, BUFFER_BYTES, 300_000])
        pdvs.append(pdv(1, 0, DATA[at : at + size]))
        at += size
    pdvs.append(pdv(1, 2, b""))
    stream = b""
    while pdvs:
        count = rng.randint(1, 3)
        stream += p_data(*pdvs[:count])
        del pdvs[:count]
    at = 0
    while at < len(stream):
        size = rng.choice([1, 5, 6, 7, 11, 12, 1000, 65536, 500_000])
        sender.send(stream[at : at + size])
        at += size
    assert sender.read().status == 0
    assert store.kept == {"1.2.3": DATA}


def test_small_pdus_are_kept_to_in_both_directions(connect):
    sender = connect(max_pdu=128)
    assert sender.store("1.2.3", DATA) == 0
    assert sender.echo() == 0


def test_many_instances_in_one_association(connect, store):
    sender = connect()
    for number in range(50):
        assert sender.store(f"1.2.{number}", DATA[:number], number) == 0
    assert store.kept == {f"1.2.{n}": DATA[:n] for n in range(50)}


REFUSALS = [
    ("open_error", StoreRefusedError(StoreStatus.OUT_OF_RESOURCES, "full"), 0xA700),
    ("write_error", OSError(errno.ENOSPC, "x"), 0xA700),
    ("write_error", MalformedError("no"), 0xC000),
    ("finish_error", StoreRefusedError(StoreStatus.DATA_SET_MISMATCH, "x"), 0xA900),
    ("finish_error", ValueError("secret"), 0x0110),
]


@pytest.mark.parametrize(("where", "error", "status"), REFUSALS)
def test_a_refused_instance_is_read_to_its_end_and_the_next_is_taken(
    connect, store, where, error, status
):
    sender = connect()
    setattr(store, where, error)
    sender.send_store("1.2.3", DATA, 9)
    answer = sender.read()
    assert (answer.status, answer.responded_to) == (status, 9)
    assert b"secret" not in answer.command[0x0902]
    assert store.abandoned == (["1.2.3"] if where == "write_error" else [])
    setattr(store, where, None)
    assert sender.store("1.2.4", DATA, 10) == 0
    assert list(store.kept) == ["1.2.4"]


def test_of_many_refused_requests_some_are_logged(connect, store, caplog):
    store.open_error = StoreRefusedError(StoreStatus.OUT_OF_RESOURCES, "full")
    sender = connect()
    for number in range(MOST_TOLD + 20):
        assert sender.store("1.2.3", b"x", number) == 0xA700
    lines = [r for r in caplog.records if r.message == "instance not stored"]
    assert len(lines) == MOST_TOLD
    assert {r.calling_ae for r in lines} == {"SENDER"}
    assert "only counted" in caplog.records[-1].message


def test_the_response_repeats_the_request_and_names_the_element(connect, store):
    store.finish_error = StoreRefusedError(
        StoreStatus.DATA_SET_MISMATCH, "differs", offending=0x00080018
    )
    sender = connect()
    sender.send_store("1.2.3", b"x" * 10, 300)
    answer = sender.read().command
    assert answer[0x0002] == CT.encode() + b"\0" * (len(CT) % 2)
    assert answer[0x0100] == b"\x01\x80"
    assert answer[0x0120] == struct.pack("<H", 300)
    assert answer[0x0901] == struct.pack("<HH", 0x0008, 0x0018)
    assert answer[0x0902] == b"differs "
    assert answer[0x1000] == b"1.2.3\0"


def test_a_store_without_data_set_is_refused(connect):
    sender = connect()
    command = store_command("1.2.3") | {0x0800: NO_DATA_SET}
    sender.send(message_pdus(1, command))
    assert sender.read().status == 0xC000


MR, PRIVATE = "1.2.840.10008.5.1.4.1.1.4", "1.2.826.0.1.3680043.9.7777.1"
OF_A_CONTEXT = [
    # context, Affected SOP Class UID, status
    (1, CT, 0x0000),
    (1, CT + "\0", 0x0000),
    (1, MR, 0x0122),  # agreed too, but by another context
    (1, PRIVATE, 0x0122),
    (1, "", 0x0122),
    (1, "Doe^Jane", 0x0122),
    (5, PRIVATE, 0x0000),
    (5, CT, 0x0122),
    (7, MR, 0x0000),
]


@pytest.mark.parametrize(("context", "sop_class", "status"), OF_A_CONTEXT)
def test_an_instance_is_of_the_class_that_its_context_was_agreed_for(
    connect, store, caplog, context, sop_class, status
):
    contexts = [(CT, EXPLICIT), (VERIFICATION, IMPLICIT), (PRIVATE, EXPLICIT)]
    sender = connect(contexts=[*contexts, (MR, EXPLICIT)])
    before = _count("stores_total", status=f"{status:04X}")
    said = sender.store("1.2.3", DATA, sop_class=sop_class, context_id=context)
    assert said == status
    assert _count("stores_total", status=f"{status:04X}") == before + 1
    assert list(store.kept) == ([] if status else ["1.2.3"])
    assert "Doe" not in "".join(str(vars(record)) for record in caplog.records)
    assert sender.store("1.2.4", DATA) == 0


UNANSWERABLE = [
    ("C-STORE by the verification context", 3, {0x0100: 0x0001}, 0x0122),
    ("C-ECHO by a storage context", 1, {0x0100: 0x0030}, 0x0211),
    ("C-FIND", 1, {0x0100: 0x0020}, 0x0211),
    ("N-ACTION without the service", 1, {0x0100: 0x0130}, 0x0211),
    ("a command nobody knows", 1, {0x0100: 0x7777}, 0x0211),
]


@pytest.mark.parametrize(("name", "context", "command", "status"), UNANSWERABLE)
def test_other_operations_are_refused_and_the_association_goes_on(
    connect, name, context, command, status, caplog
):
    sender = connect()
    whole = {0x0002: CT, 0x0110: 5, 0x0800: 1} | command
    sender.send(message_pdus(context, whole, DATA))
    answer = sender.read()
    assert answer.status == status
    assert answer.us(0x0100) == command[0x0100] | 0x8000
    (line,) = [r for r in caplog.records if r.message == "request refused"]
    assert (line.calling_ae, line.dicom_status) == ("SENDER", f"{status:04X}")
    assert sender.echo() == 0


def test_a_cancel_is_not_answered(connect):
    sender = connect()
    sender.send(message_pdus(1, {0x0100: 0x0FFF, 0x0120: 4, 0x0800: NO_DATA_SET}))
    assert sender.echo() == 0


BROKEN = [
    ("PDU of unknown type", struct.pack(">BxL", 9, 4) + bytes(4), (2, 1)),
    ("second A-ASSOCIATE-RQ", struct.pack(">BxL", 1, 4) + bytes(4), (2, 2)),
    ("release response", struct.pack(">BxL", 6, 4) + bytes(4), (2, 2)),
    ("claim of 4 GiB", struct.pack(">BxL", 4, 0xFFFFFFFF), (2, 6)),
    ("PDU over the maximum", struct.pack(">BxL", 4, 131072 + 13), (2, 6)),
    ("empty PDU", struct.pack(">BxL", 4, 0), (2, 6)),
    ("release of wrong length", struct.pack(">BxL", 5, 6), (2, 6)),
    ("value longer than its PDU", p_data(struct.pack(">LBB", 99, 1, 3)), (2, 6)),
    ("value without control header", p_data(struct.pack(">LBB", 1, 1, 3)), (2, 6)),
    ("rest too short for a value", p_data(pdv(1, 1, b"") + bytes(5)), (2, 6)),
    ("context that was not accepted", p_data(pdv(77, 3, b"")), (2, 6)),
    ("data before a command", p_data(pdv(1, 2, b"xx")), (2, 5)),
    ("two contexts in one command", p_data(pdv(1, 1, b""), pdv(3, 3, b"")), (2, 5)),
    (
        "command within a data set",
        message_pdus(1, store_command("1.2.3")) + p_data(pdv(1, 3, b"")),
        (2, 5),
    ),
    ("endless command", p_data(*[pdv(1, 1, bytes(999))] * 17), (2, 6)),
    ("command that is none", p_data(pdv(1, 3, b"GET / HTTP/1.1")), (0, 0)),
    ("empty command", p_data(pdv(1, 3, b"")), (0, 0)),
    ("no message id", message_pdus(1, {0x0100: 1, 0x0800: 1}), (0, 0)),
    ("no data set type", message_pdus(1, {0x0100: 1, 0x0110: 1}), (0, 0)),
    (
        "response nobody asked for",
        message_pdus(1, {0x0100: 0x8001, 0x0120: 1, 0x0800: NO_DATA_SET}),
        (0, 0),
    ),
]


@pytest.mark.parametrize(("name", "content", "expected"), BROKEN)
def test_a_broken_protocol_aborts(connect, store, name, content, expected):
    sender = connect()
    sender.send(content)
    assert aborted(sender) == expected
    assert not store.kept


def test_what_is_broken_off_is_abandoned(connect, store, caplog):
    caplog.set_level(logging.INFO)
    for last in (ABORT, RELEASE_RQ, b""):
        sender = connect()
        sender.send(message_pdus(1, store_command("1.2.3")))
        sender.send(p_data(pdv(1, 0, DATA[:1000])) + last)
        sender.sock.shutdown(socket.SHUT_WR)
        sender.thread.join(5)
    assert store.abandoned == ["1.2.3"] * 3
    reasons = [
        getattr(r, "reason", None) for r in caplog.records if "association" in r.msg
    ]
    assert reasons == [
        None, "by the peer: source 0, reason 0", None, None,
        None, "connection lost: the peer closed the connection",
    ]  # fmt: skip


TIMES = [
    ("silence", Patience(idle_s=0.2), b""),
    ("silence within a message", Patience(message_s=0.2), p_data(pdv(1, 1, b""))),
    ("silence within a PDU", Patience(pdu_s=0.2), b"\x04\0\0"),
    ("silence within a value", Patience(pdu_s=0.2), p_data(pdv(1, 1, bytes(99)))[:-9]),
]


@pytest.mark.parametrize(("name", "patience", "content"), TIMES)
def test_a_silent_peer_is_aborted_in_time(connect, name, patience, content):
    sender = connect(patience=patience)
    sender.send(content)
    started = time.monotonic()
    assert aborted(sender) == (0, 0)
    assert 0.1 < time.monotonic() - started < 1.5


def test_a_slow_pdu_is_aborted_though_bytes_keep_coming(connect):
    sender = connect(patience=Patience(pdu_s=0.3))
    sender.send(struct.pack(">BxL", 4, 5000) + struct.pack(">LBB", 4996, 1, 1))
    stop = threading.Event()

    def drip():
        while not stop.wait(0.02):
            try:
                sender.send(b"\0")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        started = time.monotonic()
        assert sender.read_pdu()[:1] == b"\x07"
        assert time.monotonic() - started < 1.5
    finally:
        stop.set()
        thread.join()


def test_a_message_of_many_small_pdus_is_aborted_if_it_is_too_slow(connect):
    sender = connect(patience=Patience(pdu_s=0.2))
    sender.send(message_pdus(1, store_command("1.2.3")))
    started = time.monotonic()

    def drip():
        while time.monotonic() < started + 5:
            sender.send(p_data(pdv(1, 0, b"x")))
            time.sleep(0.02)

    with pytest.raises(OSError):
        drip()
    assert time.monotonic() - started < 3


def test_our_own_slowness_is_not_the_peers(connect, store, monkeypatch):
    """A volume that stands still for longer than a PDU may take."""
    taken = type(store.open(None, None)).write

    def slowly(sink, piece):
        time.sleep(0.5)
        taken(sink, piece)

    monkeypatch.setattr(type(store.open(None, None)), "write", slowly)
    sender = connect(patience=Patience(pdu_s=0.3))
    assert sender.store("1.2.3", DATA) == 0
    assert store.kept == {"1.2.3": DATA}


def test_the_response_is_held_back_by_the_setting(connect):
    sender = connect(delay_s=0.15)
    started = time.monotonic()
    assert sender.store("1.2.3", b"xx") == 0
    assert time.monotonic() - started >= 0.15


def test_asynchronous_operations_are_read_while_others_are_made_durable(connect, store):
    sender = connect(operations=(3, 1))
    assert sender.window == (3, 1)
    store.hold.clear()
    for number in range(3):
        sender.send_store(f"1.2.{number}", DATA, number + 1)
    for _ in range(3):
        assert store.finishing.acquire(timeout=5)
    assert not store.kept
    store.hold.set()
    assert sorted(sender.read().responded_to for _ in range(3)) == [1, 2, 3]
    assert store.kept == {f"1.2.{n}": DATA for n in range(3)}


def test_a_peer_that_exceeds_its_window_is_only_slowed_down(connect, store):
    sender = connect(operations=(2, 1))
    store.hold.clear()
    for number in range(5):
        sender.send_store(f"1.2.{number}", b"abcd", number + 1)
    assert store.finishing.acquire(timeout=5)
    assert store.finishing.acquire(timeout=5)
    assert not store.finishing.acquire(timeout=0.2)
    store.hold.set()
    assert {sender.read().responded_to for _ in range(5)} == {1, 2, 3, 4, 5}


def test_a_release_waits_for_outstanding_operations(connect, store):
    sender = connect(operations=(4, 1), patience=Patience(idle_s=0.2))
    store.hold.clear()
    sender.send_store("1.2.3", DATA, 8)
    assert store.finishing.acquire(timeout=5)
    time.sleep(0.4)  # longer than the idle time-out: it is we who keep the peer waiting
    sender.send(RELEASE_RQ)
    store.hold.set()
    assert sender.read().responded_to == 8
    assert sender.read_pdu()[:1] == b"\x06"


def test_an_idle_association_is_ended_at_shutdown(connect, registry):
    sender = connect()
    assert sender.echo() == 0
    assert not registry.wait_empty(0.05)
    registry.end_all(0.05)
    assert aborted(sender) == (0, 0)
    assert registry.wait_empty(5)


def test_an_instance_under_way_is_finished_at_shutdown(connect, registry, store):
    sender = connect()
    pdus = message_pdus(1, store_command("1.2.3"), DATA)
    sender.send(pdus[:300_000])
    assert store.opened.wait(5)
    thread = threading.Thread(target=registry.end_all, args=(5,))
    thread.start()
    time.sleep(0.3)
    sender.send(pdus[300_000:])
    assert sender.read().status == 0
    assert aborted(sender) == (0, 0)
    thread.join()
    assert store.kept == {"1.2.3": DATA}


def test_an_association_that_never_ends_is_aborted_at_shutdown(
    connect, registry, store
):
    sender = connect()
    sender.send(message_pdus(1, store_command("1.2.3")))
    assert store.opened.wait(5)
    registry.end_all(0.2)
    assert aborted(sender) == (0, 0)
    sender.thread.join(5)
    assert store.abandoned == ["1.2.3"]


def test_shutdown_waits_for_a_release(connect, registry):
    sender = connect()
    release = threading.Timer(0.2, sender.release)
    release.start()
    assert registry.wait_empty(5)
    release.join()


def _count(name, **labels):
    return REGISTRY.get_sample_value(f"isocenter_storescp_{name}", labels) or 0.0


def test_metrics_and_log_without_patient_attributes(connect, store, caplog):
    caplog.set_level(logging.DEBUG)
    before = [
        _count("stores_total", status="0000"),
        _count("stored_bytes_total"),
        _count("associations_total", outcome="released"),
    ]
    sender = connect(calling="CT1")
    assert sender.store("1.2.3", DATA) == 0
    assert sender.store("Doe^Jane", DATA) == 0
    assert sender.release()
    sender.thread.join(5)
    after = [
        _count("stores_total", status="0000"),
        _count("stored_bytes_total"),
        _count("associations_total", outcome="released"),
    ]
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 2 * len(DATA), 1]
    stored = [r for r in caplog.records if r.msg == "instance stored"]
    assert [r.sop_instance_uid for r in stored] == ["1.2.3", "not a UID"]
    assert {(r.calling_ae, r.peer, r.transfer_syntax_uid) for r in stored} == {
        ("CT1", "127.0.0.1", EXPLICIT)
    }
    assert caplog.records[-1].instances == 2
    assert "Doe" not in caplog.text


def test_verification_alone(connect):
    sender = connect(contexts=[(VERIFICATION, EXPLICIT)])
    assert sender.echo(context_id=1) == 0
    assert sender.release()
