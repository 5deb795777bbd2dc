"""Requests that send files, against servers that behave in all ways."""

import hashlib
import os
import socket
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.certificates import self_signed

from isocenter.storescp.upload.connections import Connections
from isocenter.storescp.upload.http_connection import Answer, TornError
from isocenter.storescp.upload.sigv4 import Route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n<Code\r\n2\r\n>x\r\n0\r\n\r\n"
)
HEAD = b"PUT /k HTTP/1.1\r\nhost: h\r\n\r\n"


def route(port, *, tls=False):
    host = "localhost" if tls else "127.0.0.1"
    return Route(tls, host, port, host, "/", "r", "s3", "ua")


def body_of(connection, length):
    """Reads a request's head and ``length`` bytes of its body."""
    came = b""
    while b"\r\n\r\n" not in came:
        piece = connection.recv(65536)
        if not piece:
            return None
        came += piece
    came = came.partition(b"\r\n\r\n")[2]
    while len(came) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        came += piece
    return came


@contextmanager
def server(behave, tls=None):
    """Serves each connection, in a thread, by ``behave(connection, number)``."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads, accepted = [], []

    def serve(connection, number):
        with connection:
            try:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                with connection:
                    behave(connection, number)
            except OSError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            accepted.append(connection)
            thread = threading.Thread(target=serve, args=(connection, len(accepted)))
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listening.getsockname()[1], accepted
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        acceptor.join()
        for thread in threads:
            thread.join()


@pytest.fixture
def connections():
    made = Connections("unused", timeout_s=1.0, keep=2)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "body"
    path.write_bytes(os.urandom(700_000))
    with path.open("rb", buffering=0) as opened:
        yield opened


def answering(*answers, length=700_000):
    def behave(connection, _number):
        for answer in answers:
            if body_of(connection, length) is None:
                return
            connection.sendall(answer)

    return behave


@pytest.mark.parametrize(
    ("answer", "expected", "kept"),
    [
        (OK, Answer(200), True),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\nETag: x\r\n\r\n", Answer(200), True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Answer(200), True),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            Answer(200),
            False,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi"), True),
        (
            CHUNKED,
            Answer(503, b"<Code>x"),
            True,
        ),
        (
            b"HTTP/1.0 400 Bad\r\n\r\nuntil the end",
            Answer(400, b"until the end"),
            False,
        ),
    ],
)
def test_answers(connections, file, answer, expected, kept):
    def behave(connection, _number):
        for _ in range(2 if kept else 1):
            body_of(connection, 700_000)
            connection.sendall(answer)

    with server(behave) as (port, accepted):
        there = route(port)
        assert connections.send_file(there, HEAD, file.fileno(), 700_000) == expected
        assert connections.send_file(there, HEAD, file.fileno(), 700_000) == expected
        assert len(accepted) == (1 if kept else 2)
        connections.close()


def test_the_body_is_the_file(connections, file):
    came = []

    def behave(connection, _number):
        came.append(body_of(connection, 700_000))
        connection.sendall(OK)

    with server(behave) as (port, _):
        connections.send_file(route(port), HEAD, file.fileno(), 700_000)
        connections.close()
    file.seek(0)
    assert came == [file.read()]


def test_a_connection_closed_while_idle_is_not_noticed_by_anyone(connections, file):
    with server(answering(OK)) as (port, accepted):
        for _ in range(3):
            answer = connections.send_file(route(port), HEAD, file.fileno(), 700_000)
            assert answer == Answer(200)
        assert len(accepted) == 3
        connections.close()


def test_an_answer_before_the_body_s_end_is_read(connections, file):
    busy = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"

    def behave(connection, _number):
        connection.recv(1000)
        connection.sendall(busy)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with server(behave) as (port, _):
        answer = connections.send_file(route(port), HEAD, file.fileno(), 700_000)
        assert answer.status == 503
        connections.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
        b"nonsense\r\n\r\n",
        b"x" * 200_000,
    ],
)
def test_what_is_no_answer_is_a_torn_connection(connections, file, answer):
    with server(answering(answer)) as (port, accepted), pytest.raises(TornError):
        connections.send_file(route(port), HEAD, file.fileno(), 700_000)
    assert len(accepted) == 1


@pytest.mark.parametrize("reads", [True, False])
def test_who_stands_still_is_left(tmp_path, reads):
    impatient = Connections("unused", timeout_s=0.2, keep=2)
    path = tmp_path / "large"
    size = 30_000_000 if not reads else 1_000_000
    path.write_bytes(bytes(size))
    over = threading.Event()

    def behave(connection, _number):
        if reads:
            body_of(connection, size)
        over.wait(10)

    with server(behave) as (port, _), path.open("rb", buffering=0) as file:
        with pytest.raises(TornError):
            impatient.send_file(route(port), HEAD, file.fileno(), size)
        over.set()


def test_a_file_that_became_shorter_is_the_file_s_error(connections, file):
    with server(answering(OK, length=900_000)) as (port, _):
        with pytest.raises(OSError, match="700000 of 900000") as raised:
            connections.send_file(route(port), HEAD, file.fileno(), 900_000)
        assert not isinstance(raised.value, TornError)
        connections.close()


def test_no_more_connections_are_kept_than_asked_for(connections, file):
    start = threading.Barrier(4)

    def behave(connection, _number):
        body_of(connection, 700_000)
        start.wait(5)
        connection.sendall(OK)
        connection.recv(1)

    with server(behave) as (port, _):
        there = route(port)

        def put():
            with Path(file.name).open("rb", buffering=0) as own:
                connections.send_file(there, HEAD, own.fileno(), 700_000)

        threads = [threading.Thread(target=put) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(connections._idle[there]) == 2
        connections.close()


def test_tls_is_verified_and_the_body_is_the_file(tmp_path, file):
    cert, key = self_signed(tmp_path / "s3", hosts=["localhost"])
    stranger, _ = self_signed(tmp_path / "stranger", hosts=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    came = []

    def behave(connection, _number):
        for _ in range(2):
            came.append(hashlib.sha256(body_of(connection, 700_000)).digest())
            connection.sendall(OK)

    with server(behave, context) as (port, accepted):
        there = route(port, tls=True)
        distrusting = Connections(stranger, timeout_s=1.0, keep=1)
        with pytest.raises(TornError, match="certificate"):
            distrusting.send_file(there, HEAD, file.fileno(), 700_000)
        made = Connections(cert, timeout_s=1.0, keep=1)
        for _ in range(2):
            assert made.send_file(there, HEAD, file.fileno(), 700_000) == Answer(200)
        other = Route(True, "127.0.0.1", port, "h", "/", "r", "s3", "ua")
        with pytest.raises(TornError, match="certificate"):
            made.send_file(other, HEAD, file.fileno(), 700_000)
        assert len(accepted) <= 3
        made.close()
    file.seek(0)
    assert set(came) == {hashlib.sha256(file.read()).digest()}
