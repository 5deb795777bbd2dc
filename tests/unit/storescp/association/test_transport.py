"""Associations over TLS, and what only TLS can do wrong."""

import contextlib
import socket
import ssl
import threading
import time

import pytest
from support.certificates import self_signed
from support.dimse_sender import message_pdus, store_command

from isocenter.storescp.association.pdu import data_pdus
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.transport import (
    NOTHING,
    PlainTransport,
    transport,
)

DATA = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server's and a client's context that trust each other."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*self_signed(tmp_path_factory.mktemp("tls")))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return {"server_tls": server, "client_tls": client}


def test_instances_by_tls(connect, store, tls):
    sender = connect(**tls)
    for number in range(3):
        assert sender.store(f"1.2.{number}", DATA, number) == 0
    assert store.kept == {f"1.2.{n}": DATA for n in range(3)}
    assert sender.release()


def test_answers_go_out_while_the_reader_waits(connect, store, tls):
    """With asynchronous operations two threads use one TLS connection."""
    sender = connect(operations=(8, 1), **tls)
    answers = []
    for number in range(60):
        sender.send_store(f"1.2.{number}", DATA[: number * 1000], number + 1)
        if number >= 7:  # this end has one thread: OpenSSL's objects are for one
            answers.append(sender.read().responded_to)
    answers += [sender.read().responded_to for _ in range(7)]
    assert sorted(answers) == list(range(1, 61))
    assert store.kept == {f"1.2.{n}": DATA[: n * 1000] for n in range(60)}
    assert sender.release()


def test_silence_and_shutdown_by_tls(connect, registry, tls):
    sender = connect(patience=Patience(idle_s=0.2), **tls)
    assert sender.read_pdu()[:1] == b"\x07"
    other = connect(**tls)
    assert other.echo() == 0
    registry.end_all(0.05)
    assert other.read_pdu()[:1] == b"\x07"


def test_a_connection_closed_without_goodbye(connect, tls, caplog):
    caplog.set_level("INFO")
    sender = connect(**tls)
    assert sender.echo() == 0
    socket.socket.shutdown(sender.sock, socket.SHUT_RDWR)
    sender.thread.join(5)
    assert caplog.records[-1].reason.startswith("connection lost")


@pytest.fixture
def plain():
    """Two ends of a TCP connection, the first as a transport."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    transport = PlainTransport(ours, tick_s=0.1, send_s=0.2)
    with peer:
        yield transport, peer
        transport.close()


def test_a_tick_of_silence(plain):
    transport, peer = plain
    into = memoryview(bytearray(10))
    started = time.monotonic()
    assert transport.receive(into, whole=False) == NOTHING
    assert 0.05 < time.monotonic() - started < 1
    peer.send(b"abc")
    assert transport.receive(into, whole=True) == 3
    peer.close()
    assert transport.receive(into, whole=True) == 0


def test_a_peer_that_takes_nothing_is_given_up(plain):
    transport, _ = plain
    started = time.monotonic()
    with pytest.raises(OSError):
        transport.send(bytes(64 * 1024 * 1024))
    assert time.monotonic() - started < 3


def test_a_peer_that_takes_a_little_at_a_time_is_given_up(plain):
    transport, peer = plain
    stop = threading.Event()

    def sip():
        while not stop.wait(0.02):
            peer.recv(64 * 1024)

    sipping = threading.Thread(target=sip)
    sipping.start()
    started = time.monotonic()
    try:
        with pytest.raises(OSError):
            transport.send(bytes(64 * 1024 * 1024))
        assert time.monotonic() - started < 3
    finally:
        stop.set()
        sipping.join(5)


@pytest.mark.parametrize("limit", [0, 128, 1000, 131072])
@pytest.mark.parametrize("size", [0, 2, 122, 123 * 2, 200_000])
def test_fragments_keep_to_the_peers_maximum(limit, size):
    message = bytes(size)
    pdus = list(data_pdus(5, message, command=False, peer_max_pdu=limit))
    assert b"".join(pdu[12:] for pdu in pdus) == message
    assert all(len(pdu) - 6 <= (limit or 65536) for pdu in pdus)
    assert [pdu[11] for pdu in pdus] == [0] * (len(pdus) - 1) + [2]


def test_a_byte_at_a_time_does_not_keep_a_reader_in_a_call(tls):
    """Else no deadline of a PDU would be looked at before the whole PDU came."""
    made, stop = [], threading.Event()

    def dribble(port):
        plain = socket.create_connection(("127.0.0.1", port), 5)
        with tls["client_tls"].wrap_socket(plain) as sender:
            while not stop.wait(0.02):
                sender.send(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        dribbling = threading.Thread(target=dribble, args=(port,))
        dribbling.start()
        plain, _ = listening.accept()
    connection = transport(
        tls["server_tls"].wrap_socket(plain, server_side=True), tick_s=0.2, send_s=1
    )
    began = time.monotonic()
    try:
        made.append(connection.receive(memoryview(bytearray(100)), whole=True))
        assert time.monotonic() - began < 1
    finally:
        stop.set()
        dribbling.join(5)
        connection.close()
    assert 0 < made[0] < 50


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_slow_sender_is_aborted(connect, store, tls, encrypted):
    patience = Patience(message_s=1, pdu_s=0.3)
    sender = connect(patience=patience, **(tls if encrypted else {}))
    content = message_pdus(1, store_command("1.2.3"), bytes(150))
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for at in range(len(content) - 150):
            sender.send(content[at : at + 1])
        for _ in range(149):
            sender.send(b"x")
            time.sleep(0.02)
    assert time.monotonic() - began < 2
    assert store.abandoned == ["1.2.3"]
