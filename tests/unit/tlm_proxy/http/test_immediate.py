"""The short way of warm answers, byte by byte on the connection."""

import asyncio
import socket
from contextlib import suppress

import pytest
import uvicorn
from support.connection import answer, connect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from isocenter.tlm_proxy.http import immediate
from isocenter.tlm_proxy.http.immediate import ImmediateProtocol

BODY = b"frame" * 10
PATH = f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/imageFrame/{'a' * 32}"
GET = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def warm(s):
    s.add("a", BODY, media_type="image/jpeg")
    await s.body("a")
    await s.cached()


def test_one_connection_many_answers(stage, run, at_once):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            for _ in range(3):
                writer.write(GET)
                head, body = await answer(reader)
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\ndate: " in head
                assert body == BODY
            # At once, and in pieces that end anywhere.
            writer.write(GET * 4 + GET[:30])
            for _ in range(4):
                assert (await answer(reader))[1] == BODY
            await asyncio.sleep(0.01)
            writer.write(GET[30:])
            assert (await answer(reader))[1] == BODY
            assert at_once == [len(BODY)] * 8
            assert s.metric("requests_total", route="frame", status="200") == 9
            assert s.metric("sent_bytes_total", source="cache") == 8 * len(BODY)
            writer.close()

    run(play)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.replace(b"Host", b"Range: bytes=0-3\r\nHost"), 206),
        (GET.replace(b"Host", b'If-None-Match: "x"\r\nHost'), 200),
        (GET.replace(b"Host", b"Authorization: a\r\nAuthorization: b\r\nHost"), 200),
        (GET.replace(b"GET", b"DELETE"), 405),
        (GET.replace(b" HTTP", b"?token=x HTTP"), 400),
        (GET.replace(b" HTTP", b"?reduce=x HTTP"), 400),
        (GET.replace(b" HTTP", b"?reduce=0&reduce=0 HTTP"), 400),
        (GET.replace(b"imageFrame", b"image%46rame"), 200),
        (GET.replace(b"imageFrame", b"nothing"), 404),
        (GET.replace(b"a" * 32, b"b" * 32), 404),
    ],
)
def test_other_requests_go_the_long_way_in_their_turn(
    stage, run, at_once, request_, status
):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            writer.write(GET + request_ + GET)
            for expected in (200, status, 200):
                head, _ = await answer(reader)
                assert int(head.split()[1]) == expected
            assert at_once
            writer.close()

    run(play)


def test_a_body_that_comes_with_a_get_is_skipped(stage, run, at_once):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            lying = GET.replace(b"Host", b"Content-Length: 50\r\nHost")
            writer.write(lying + b"GET /nothing".ljust(50) + GET)
            for _ in range(2):
                assert (await answer(reader))[1] == BODY
            assert len(at_once) == 2
            writer.close()

    run(play)


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET.replace(b"Host", b"Connection: close\r\nHost"),
    ],
)
def test_who_wants_the_connection_closed_gets_it_closed(stage, run, at_once, request_):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            writer.write(request_)
            head, body = await answer(reader)
            assert b"connection: close" in head
            assert (body, await reader.read()) == (BODY, b"")
            assert not at_once
            writer.close()

    run(play)


@pytest.mark.parametrize("size", [200_000, 24 << 20])
def test_a_client_that_takes_nothing_is_broken_off(stage, run, monkeypatch, size):
    monkeypatch.setattr(immediate, "PATIENCE_S", 0.2)

    async def play():
        async with stage(cache_max_bytes=1 << 30) as s:
            s.add("a", bytes(size), media_type="image/jpeg")
            await s.body("a")
            await s.cached()
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            with client:
                address = ("127.0.0.1", int(s.url.rpartition(":")[2]))
                await loop.sock_connect(client, address)
                # Often enough to fill what the kernel buffers.
                await loop.sock_sendall(client, GET * 60)
                await s.until(lambda: s.metric("broken_off_total", **SLOW) == 1)
            assert s.metric("broken_off_total", reason="client gone") == 0
            assert len(await s.body("a")) == size

    run(play)


class Left(asyncio.Transport):
    """A transport whose client has taken some of what was sent."""

    left = 0
    broken_off = False

    def get_write_buffer_size(self):
        return self.left

    def abort(self):
        self.broken_off = True


def test_a_client_that_takes_little_has_its_time(run, monkeypatch):
    monkeypatch.setattr(immediate, "PATIENCE_S", 0.01)

    async def play():
        config = uvicorn.Config(None, ws="none", log_config=None)
        config.load()
        protocol = ImmediateProtocol(config, ServerState(), {})
        protocol.connection_made(transport := Left())
        transport.left = 100
        protocol.pause_writing()
        for _ in range(10):
            transport.left -= 5
            await asyncio.sleep(0.01)
        assert not transport.broken_off
        await asyncio.sleep(0.05)
        assert transport.broken_off

    run(play)


@pytest.mark.parametrize("trailers", [True, False])
@pytest.mark.parametrize(
    "line", [b"X: " + b"x" * 300_000, b"X: x\r\n" * 60_000], ids=["long", "many"]
)
def test_a_head_without_an_end_is_not_read_on(stage, run, trailers, line):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            begun = GET[:-2]
            if trailers:
                begun += b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
            writer.write(begun + line)
            # Told why, unless the answer is lost with what was not read.
            with suppress(ConnectionError):
                answered = await reader.read()
                assert answered.count(b"HTTP/1.1 200 ") == trailers
                assert b"HTTP/1.1 431 " in answered
            writer.close()
            assert await s.body("a") == BODY

    run(play)


def test_an_idle_connection_is_closed_whatever_it_has_not_taken():
    done = []

    class Transport(asyncio.Transport):
        def get_write_buffer_size(self):
            return left

        def is_closing(self):
            return False

        def abort(self):
            done.append("abort")

        def close(self):
            done.append("close")

    protocol = ImmediateProtocol.__new__(ImmediateProtocol)
    protocol.transport = Transport()
    for left in (10, 0):  # noqa: B007 - read by the transport
        protocol.timeout_keep_alive_handler()
    assert done == ["abort", "close"]


def test_a_connection_that_asks_no_more_is_closed_in_time(stage, run, monkeypatch):
    made = []
    begin = ImmediateProtocol.connection_made

    def impatient(self, transport):
        self.timeout_keep_alive = 0.3
        made.append(self)
        begin(self, transport)

    monkeypatch.setattr(ImmediateProtocol, "connection_made", impatient)

    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            for _ in range(4):
                await asyncio.sleep(0.15)
                writer.write(GET)
                assert (await answer(reader))[1] == BODY
            last = asyncio.get_running_loop().time()
            assert await reader.read() == b""
            assert asyncio.get_running_loop().time() - last >= 0.25
            writer.close()

    run(play)
    assert made


SLOW = {"reason": "client too slow"}


def test_it_knows_uvicorns_protocol():
    """What it relies on: a new uvicorn that lacks it must not pass unseen."""
    for name in (
        "on_headers_complete",
        "on_message_complete",
        "on_body",
        "on_response_complete",
        "pause_writing",
        "resume_writing",
    ):
        assert callable(getattr(HttpToolsProtocol, name))
