"""What a hostile or broken client may send the real process: it answers in HTTP or
ends the connection, never with 500, and goes on serving everybody else.

The number of a conversation is its seed: ``HOSTILE=4711`` runs one alone. ``SOAK=n``
runs n hundred.
"""

import asyncio
import os
import random
import socket
import struct
from contextlib import suppress

import httpx
import pytest
from faults.tlm_proxy.http_client import NotHttpError, read_answer
from faults.tlm_proxy.mutations import DATASTORE, REGION
from faults.tlm_proxy.progress import chosen, tell
from support.instances import eventually

SOAK = int(os.environ.get("SOAK", "0"))
CONVERSATIONS = SOAK * 100 or 100
AT_ONCE = 12
HANG_S = 8.0
GROWTH = 96 << 20
"""Bytes that the process may grow by, its cache of 16 MiB included."""
_CACHE = 16 << 20
_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "BREW")
_NAMES = (
    *("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since"),
    *("Accept", "Accept-Encoding", "Authorization", "Cookie", "Origin", "Expect"),
    *("Connection", "Upgrade", "TE", "Host", "Content-Type", "X-Forwarded-For"),
    *("Access-Control-Request-Method", "Transfer-Encoding", "Content-Length"),
)
_VALUES = (
    *("", "*", "bytes=0-", "bytes=-0", "bytes=0-0,5-9,7-8", "bytes=" + "0-," * 500),
    *("bytes=18446744073709551616-", "bytes=1-\t2", "bytes==1-2", "Bytes=0-3"),
    *('"', 'W/"', '"a", "b",,,', "W/*", "keep-alive, close", "close", "upgrade"),
    *("h2c", "websocket", "100-continue", "200-ok", "trailers", "chunked", "gzip"),
    *("chunked, chunked", "identity", "0", "-1", "+5", "5, 5", "0x10", "9" * 30),
    *("Bearer", "Bearer a.b.c", "Basic eDp5", "Bearer " + "x" * 20_000, "null"),
    *("multipart/related; type=", "image/jphc;q=2", "*/*;q=0", ",,,;;;==", "a" * 9_000),
    *("http://elsewhere", "\x80\xff", "application/json", "GET"),
)


def a_path(rng, sent):
    ids = (
        "d" * 32,
        "0" * 32,
        "D" * 32,
        "x",
        "..",
        "%2e%2e",
        "%00",
        "%ff%fe",
        "a" * 4_000,
    )
    frames = ("1", "0", "1,1", "2", "9" * 9, "x")
    made = [
        sent.frame_path,
        f"{sent.instance_path}/frames/{rng.choice(frames)}",
        f"{sent.instance_path}/thumbnail",
        f"{sent.frame_path.rpartition('/imageFrame/')[0]}/getImageFrame",
        "/datastore/{}/imageSet/{}/imageFrame/{}".format(*rng.choices(ids, k=3)),
        f"/dicomweb/{REGION}/{DATASTORE}/studies",
        f"/dicomweb/{rng.choice(ids)}/{DATASTORE}/studies/{rng.choice(ids)}/series",
        f"/usage/{REGION}/{DATASTORE}/studies/1.2.3",
        *("/", "//", "*", "/metrics", "/readyz", "/openapi.json", "http://a/healthz"),
        *("/healthz#x", "/%", "/%zz", "/\x80", "?", "/a b", "/" + "a/" * 500),
    ]
    path = rng.choice(made)
    if rng.random() < 0.15:
        at = rng.randrange(len(path))
        path = path[:at] + chr(rng.choice((*range(1, 48), 127, 200))) + path[at:]
    return path


def a_query(rng):
    names = ("startLevel", "endLevel", "reduce", "viewport", "limit", "offset", "x")
    values = ("", "0", "1", "-1", "99999", "9" * 40, "1e3", "%00", "%", "²", "1,1", "&")
    names = (*names, "token", "00100020", "includefield")
    pairs = [
        f"{rng.choice(names)}={rng.choice(values)}"
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3, 60)))
    ]
    return "?" + rng.choice("&&;").join(pairs) if pairs else ""


def a_request(rng, sent):
    """A request that a parser may or may not take; and its method."""
    method = rng.choice(_METHODS)
    version = rng.choice(("1.1", "1.1", "1.1", "1.1", "1.0", "0.9", "2.0", "1.12"))
    lines = [f"{method} {a_path(rng, sent)}{a_query(rng)} HTTP/{version}", "Host: a"]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        name, value = rng.choice(_NAMES), rng.choice(_VALUES)
        colon = rng.choice((": ", ": ", ": ", ":", " : ", ":\r\n "))
        lines.append(f"{name}{colon}{value}")
    body = b""
    if method == "POST" or rng.random() < 0.1:
        body = rng.choice(
            (
                b'{"imageFrameId": "%s"}' % sent.frame_id.encode(),
                *(b"{", b"[]", b"null", b'{"imageFrameId": 1}', b"\xff" * 10, b""),
                *(b"[" * 4_000, b" " * 5_000, b'"' + b"x" * 100_000),
            )
        )
        lie = rng.choice((0, 0, 0, 0, 1, -1, 1_000_000))
        kind = rng.randrange(6)
        if kind == 0:
            lines.append("Transfer-Encoding: chunked")
            size = rng.choice((b"%x" % len(body), b"%x;a=b" % len(body), b"zz", b"-1"))
            body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
        elif kind == 1:
            lines += [f"Content-Length: {len(body)}"] * 2
        elif kind == 2:
            lines += [f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"]
        else:
            lines.append(f"Content-Length: {max(len(body) + lie, 0)}")
    end = rng.choice(("\r\n", "\r\n", "\r\n", "\r\n", "\n"))
    text = end.join([*lines, "", ""])
    return text.encode("latin-1", "replace") + body, method


def a_conversation(rng, sent):  # noqa: PLR0911 - one a kind
    """What is written, the methods of its requests, and how it goes on."""
    good = f"GET {sent.frame_path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    match rng.randrange(10):
        case 0:  # many good ones at once
            return good * rng.randrange(2, 40), ["GET"] * 40, "read"
        case 1:  # half a request
            request, method = a_request(rng, sent)
            return request[: rng.randrange(len(request))], [method], "leave"
        case 2:  # gone in the middle of the answer
            return good * 5, ["GET"], "reset"
        case 3:  # byte by byte
            return a_request(rng, sent)[0][:300], ["?"], "slow"
        case 4:  # no HTTP
            return rng.randbytes(rng.randrange(1, 3_000)), ["?"], "leave"
        case 5:  # big headers
            name = rng.choice(("X", "Range", "Authorization"))
            value = "y" * rng.choice((10_000, 60_000, 200_000))
            request = good[:-2] + f"{name}: {value}\r\n\r\n".encode()
            return request, ["GET"], rng.choice(("read", "reset"))
        case _:
            requests = [a_request(rng, sent) for _ in range(rng.randrange(1, 5))]
            written = b"".join(request for request, _ in requests)
            return written, [method for _, method in requests], "read"


async def converse(  # noqa: C901, PLR0912 - a conversation from its start to its end
    port, number, mutations, statuses
):
    """One connection, to its end; counts the statuses it was answered with."""
    rng = random.Random(number)
    written, methods, manner = a_conversation(rng, mutations[rng.randrange(200)])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        if manner == "slow":
            for at in range(0, len(written), 9):
                writer.write(written[at : at + 9])
                await asyncio.sleep(0.005)
        else:
            writer.write(written)
        if manner == "reset":
            await reader.read(rng.choice((1, 1_000, 70_000)))
            linger = struct.pack("ii", 1, 0)
            connected = writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        if manner != "read" or rng.random() < 0.5:
            writer.write_eof()
        for method in methods:
            if method == "?":
                break
            # It may wait for more of a body, and is then left alone.
            async with asyncio.timeout(1.0 if manner == "read" else 0.3):
                answer = await read_answer(reader, method)
            if answer is None:
                break
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            if not answer.complete or answer.status == 101:
                break
    except OSError:  # TimeoutError is one as well
        pass
    except NotHttpError as error:
        # Where the two sides read a request's end differently, heads are bodies.
        if manner != "read" or len(methods) == 1:
            raise AssertionError(f"conversation {number}") from error
    finally:
        writer.transport.abort()


def serves(proxy, mutations, clean):
    """A frame as it is, and as it is cached."""
    sent = mutations[clean]
    for _ in range(2):
        answer = httpx.get(f"{proxy.base}{sent.frame_path}", timeout=HANG_S)
        assert answer.status_code == 200
        assert answer.content == sent.body


def under_way(proxy):
    """Requests that the proxy counts as not answered yet, the one for it left out."""
    text = httpx.get(f"{proxy.base}/metrics", timeout=HANG_S).text
    name = "isocenter_tlm_proxy_requests_under_way"
    found = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in found) - 1


@pytest.fixture(scope="module")
def clean(mutations):
    """The number of a mutation that arrives whole."""
    return next(n for n in range(1_000) if mutations[n].stop is None)


@pytest.mark.parametrize("workers", [1, 2] if SOAK else [1])
@pytest.mark.timeout(120 + CONVERSATIONS)
def test_hostile_clients(start_proxy, mutations, clean, workers):
    statuses = {}
    numbers = chosen("HOSTILE", 0, CONVERSATIONS)

    async def scene(port, todo):
        room = asyncio.Semaphore(AT_ONCE)

        async def bounded(number):
            async with room, asyncio.timeout(HANG_S):
                try:
                    await converse(port, number, mutations, statuses)
                except BaseException:
                    tell(f"alone: HOSTILE={number}")
                    raise

        async with asyncio.TaskGroup() as group:
            for number in todo:
                group.create_task(bounded(number))

    with start_proxy(
        TLM_PROXY_WORKERS=str(workers),
        TLM_PROXY_CACHE_MAX_BYTES=str(_CACHE),
        TLM_PROXY_CORS_ALLOW_ORIGINS='["https://viewer.example"]',
    ) as proxy:
        serves(proxy, mutations, clean)
        # What is loaded and cached once, is.
        asyncio.run(scene(proxy.port, numbers[: len(numbers) // 3]))
        before, files = proxy.resident(), proxy.open_files()
        asyncio.run(scene(proxy.port, numbers[len(numbers) // 3 :]))
        serves(proxy, mutations, clean)
        eventually(lambda: under_way(proxy) == 0, 10)
        grown = proxy.resident() - before
        tell(f"{workers} workers: {statuses}, {grown >> 10} KiB more")
        eventually(lambda: proxy.open_files() <= files + 2 * AT_ONCE, 10)
        assert not proxy.unexpected()
        assert grown < GROWTH
    assert 500 not in statuses
    if len(numbers) > 1:
        assert {200, 400} <= set(statuses)


@pytest.fixture(scope="module")
def proxy(start_proxy):
    """One that is shared by the tests below."""
    with start_proxy(TLM_PROXY_CACHE_MAX_BYTES=str(_CACHE)) as proxy:
        yield proxy


def test_many_silent_connections_take_nobodys_place(proxy, mutations, clean):
    """Slow ones hold descriptors and little memory; others are answered meanwhile."""
    serves(proxy, mutations, clean)
    before = proxy.resident()
    silent = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(400)]
    for number, each in enumerate(silent):
        each.sendall(b"GET /healthz HTTP/1.1\r\nX: y"[: number % 30])
    serves(proxy, mutations, clean)
    assert proxy.resident() - before < 400 * 64 * 1024
    for each in silent:
        each.close()
    serves(proxy, mutations, clean)


def test_nothing_is_written_into_an_answer(proxy, healthimaging, mutations):
    """What follows a request on its connection, be it no HTTP, stays out of it."""
    sent = next(
        sent
        for sent in map(mutations.__getitem__, range(5_000, 6_000))
        if sent.stop is None and sent.size and 1 < sent.pieces[1] < sent.size
    )
    request = f"GET {sent.frame_path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    begun = b""
    with socket.create_connection(("127.0.0.1", proxy.port), HANG_S) as client:
        with healthimaging.paused():
            client.sendall(request)
            while not begun.partition(b"\r\n\r\n")[2]:
                begun += client.recv(1 << 20)
            client.sendall(b"NO HTTP\r\n\r\n")
            client.settimeout(1)
            # Either end will do: nothing more for a while, or the connection's.
            with suppress(OSError):
                while piece := client.recv(1 << 20):
                    begun += piece
    assert sent.body.startswith(begun.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("start", ["GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", "GET /"])
def test_endless_head_takes_bounded_memory(proxy, mutations, clean, start):
    """A client that never ends its request's head."""
    serves(proxy, mutations, clean)
    before = proxy.resident()
    with (
        socket.create_connection(("127.0.0.1", proxy.port), HANG_S) as endless,
        suppress(OSError),  # ended by the proxy, as it should
    ):
        endless.sendall(start.encode())
        for _ in range(64):
            endless.sendall(b"y" * (1 << 20))
    serves(proxy, mutations, clean)
    grown = proxy.resident() - before
    assert grown < GROWTH // 4, f"{grown >> 20} MiB for one request"
