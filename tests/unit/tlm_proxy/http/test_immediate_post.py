"""The short way of the AWS sample's POST, byte by byte on the connection."""

import asyncio
import json

import pytest
from support.connection import answer, connect

BODY = b"frame" * 10
ASKED = json.dumps({"imageFrameId": "a" * 32}).encode()


def post(body=ASKED, query="", headers="", length=None):
    path = f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/getImageFrame{query}"
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n"
    return head.encode() + b"\r\n" + body


async def warm(s):
    s.add("a", BODY, media_type="image/jpeg")
    await s.body("a")
    await s.cached()


def test_a_cached_frame_is_answered_at_once_however_the_body_comes(stage, run, at_once):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            writer.write(post() * 3)
            for _ in range(3):
                head, body = await answer(reader)
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"etag" not in head.lower()
                assert body == BODY
            request = post()
            for cut in (len(request) - len(ASKED), len(request) - 5):
                writer.write(request[:cut])
                await asyncio.sleep(0.01)
                writer.write(request[cut:])
                assert (await answer(reader))[1] == BODY
            assert at_once == [len(BODY)] * 5
            writer.close()

    run(play)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b""), 400),
        (post(b"{}"), 400),
        (post(b'{"imageFrameId": "' + b"a" * 32 + b'", "more": 1}'), 200),
        (post(json.dumps({"imageFrameId": "b" * 32}).encode()), 404),
        (post(b" " * 5000), 413),
        (post(query="?startLevel=x"), 400),
        (post(query="?startLevel=0"), 200),
        (post(headers="Range: bytes=0-3\r\n"), 200),
        (post(headers="Expect: 100-continue\r\n"), 100),
    ],
)
def test_other_posts_go_the_long_way_in_their_turn(
    stage, run, at_once, request_, status
):
    async def play():
        async with stage() as s:
            await warm(s)
            reader, writer = await connect(s)
            writer.write(post() + request_)
            assert (await answer(reader))[1] == BODY
            head, _ = await answer(reader)
            assert int(head.split()[1]) == status
            if status == 100:
                assert (await answer(reader))[1] == BODY
            if status != 413:
                writer.write(post())
                assert (await answer(reader))[1] == BODY
            assert at_once
            writer.close()

    run(play)


def test_a_chunked_body_goes_the_long_way(stage, run, at_once):
    async def play():
        async with stage() as s:
            await warm(s)
            at_once.clear()
            reader, writer = await connect(s)
            head = post(b"").replace(
                b"Content-Length: 0", b"Transfer-Encoding: chunked"
            )
            writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ASKED), ASKED))
            assert (await answer(reader))[1] == BODY
            assert not at_once
            writer.close()

    run(play)


def test_who_goes_away_within_the_body_leaves_nothing_behind(stage, run):
    async def play():
        async with stage() as s:
            await warm(s)
            _, writer = await connect(s)
            writer.write(post()[:-3])
            await asyncio.sleep(0.01)
            writer.close()
            reader, writer = await connect(s)
            writer.write(post())
            assert (await answer(reader))[1] == BODY
            writer.close()

    run(play)
