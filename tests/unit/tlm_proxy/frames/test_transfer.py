"""Frames and levels through the running proxy."""

import asyncio
import socket

import aiohttp
import imagecodecs
import numpy as np
import pytest

from isocenter.core.codestream import scan_levels


def ranges(ends, size):
    """Query, and where its bytes are."""
    return [
        ({}, 0, size),
        ({"startLevel": 0}, 0, size),
        ({"startLevel": 0, "endLevel": 0}, 0, ends[0]),
        ({"endLevel": 2}, 0, ends[2]),
        ({"startLevel": 1, "endLevel": 1}, ends[0], ends[1]),
        ({"startLevel": 1, "endLevel": 3}, ends[0], ends[3]),
        ({"startLevel": 4, "endLevel": 4}, ends[3], ends[4]),
        ({"startLevel": 2}, ends[1], size),
        # past the last level is the end, as in the sample
        ({"startLevel": 4, "endLevel": 9}, ends[3], size),
        ({"startLevel": "", "endLevel": ""}, 0, size),
    ]


@pytest.mark.parametrize("tlm", [True, False])
@pytest.mark.parametrize("chunked", [False, True])
def test_levels_are_the_frames_bytes_cold_and_warm(stage, run, by_tlm, tlm, chunked):
    frame = by_tlm[tlm]
    cases = ranges(scan_levels(frame).ends, len(frame))

    async def play():
        async with stage() as s:
            for number, (query, start, end) in enumerate(cases):
                name = "0123456789"[number]
                s.add(name, frame, chunked=chunked, pieces=list(range(97, 4000, 331)))
                assert await s.body(name, **query) == frame[start:end], query
                await s.cached(number + 1)
                assert await s.body(name, **query) == frame[start:end], query
                async with s.get(name, **query) as response:
                    assert await response.read() == frame[start:end], query
                    assert int(response.headers["Content-Length"]) == end - start
            assert len(s.upstream.requests) == len(cases)
            assert s.metric("cache_hits_total") == 2 * len(cases)
            assert s.metric("cache_misses_total") == len(cases)

    run(play)


def test_levels_append_to_a_frame_that_decodes(stage, run, htj2k, image):
    async def play():
        async with stage() as s:
            s.add("a", htj2k)
            prefix = await s.body("a", startLevel=0, endLevel=1)
            small = imagecodecs.htj2k_decode(prefix, skipres=3)
            whole = prefix + await s.body("a", startLevel=2)
            assert small.shape == (23, 28)
            assert whole == htj2k
            assert np.array_equal(imagecodecs.htj2k_decode(whole), image)

    run(play)


@pytest.mark.parametrize("tlm", [True, False])
def test_a_level_leaves_before_the_rest_has_arrived(
    stage, run, htj2k, htj2k_without_tlm, tlm
):
    frame = htj2k if tlm else htj2k_without_tlm
    ends = scan_levels(frame).ends

    async def play():
        async with stage() as s:
            gate = asyncio.Event()
            # Level 0 and the next SOT are there; the rest waits.
            s.add("a", frame, pieces=[ends[0] + 12], gates={1: gate})
            async with s.post("a", startLevel=0, endLevel=0) as response:
                assert response.content_length == ends[0]
                assert await response.read() == frame[: ends[0]]
            assert not s.upstream.finished.is_set()
            gate.set()
            await s.cached()
            assert await s.body("a") == frame
            assert len(s.upstream.requests) == 1

    run(play)


def test_a_whole_frame_is_passed_on_as_it_arrives(stage, run, htj2k):
    async def play():
        async with stage() as s:
            gate = asyncio.Event()
            s.add("a", htj2k, pieces=[1000], gates={1: gate})
            async with s.post("a") as response:
                assert response.content_length == len(htj2k)
                assert response.headers["Content-Type"] == "image/jphc"
                first = await response.content.readexactly(1000)
                assert not s.upstream.finished.is_set()
                gate.set()
                assert first + await response.read() == htj2k

    run(play)


def test_without_tlm_the_asked_levels_flow_while_their_end_is_unknown(
    stage, run, htj2k_without_tlm
):
    frame = htj2k_without_tlm
    ends = scan_levels(frame).ends

    async def play():
        async with stage() as s:
            gate = asyncio.Event()
            s.add("a", frame, pieces=[ends[1] + 12], gates={1: gate})
            async with s.post("a", startLevel=0, endLevel=3) as response:
                assert response.content_length is None
                first = await response.content.readexactly(ends[1] + 12)
                gate.set()
                assert first + await response.read() == frame[: ends[3]]

    run(play)


def test_a_client_that_goes_away_closes_the_call(stage, run, htj2k):
    async def play():
        async with stage() as s:
            s.add("a", htj2k, pieces=[1000], gates={1: asyncio.Event()})
            response = await s.post("a")
            await response.content.readexactly(1000)
            response.close()
            async with asyncio.timeout(3):
                await s.upstream.gone.wait()
            assert s.metric("cache_frames") == 0
            await s.until(lambda: s.metric("broken_off_total", reason="client gone"))
            assert s.metric("cache_bytes") == 0

    run(play)


def test_a_client_that_goes_away_before_the_first_byte_closes_the_call(stage, run):
    async def play():
        async with stage() as s:
            s.add("a", silent=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(s.post("a"), 0.2)
            async with asyncio.timeout(3):
                await s.upstream.gone.wait()

    run(play)


def test_a_level_that_is_not_there_names_how_many_there_are(
    stage, run, htj2k, htj2k_without_tlm
):
    async def play():
        async with stage() as s:
            s.add("a", htj2k)
            s.add("b", htj2k_without_tlm)
            await s.body("a")
            await s.cached()
            for name in "ab":
                async with s.post(name, startLevel=5) as response:
                    assert response.status == 400
                    answer = await response.json()
                assert answer["error"] == "LevelOutOfRange"
                assert "5 levels, 0 to 4" in answer["message"]

    run(play)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(500), "image/jpeg"),
        (bytes(300), "application/octet-stream"),
        (b"", "video/mp4"),
    ],
)
def test_other_formats_are_passed_whole_and_have_no_levels(
    stage, run, body, media_type
):
    async def play():
        async with stage() as s:
            s.add("a", body, media_type=media_type)
            for _ in range(2):
                async with s.get("a") as response:
                    assert response.status == 200
                    assert response.headers["Content-Type"] == media_type
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
                    assert await response.read() == body
                await s.cached()
            if body:
                s.add("b", body, media_type=media_type)
                for name in "ab":
                    async with s.get(name, endLevel=0) as response:
                        assert response.status == 400
                        assert (await response.json())["error"] == "LevelsUnavailable"

    run(play)


def test_a_broken_codestream_is_passed_whole_and_its_levels_are_refused(
    stage, run, htj2k
):
    broken = htj2k[:60] + b"\x12\x34" + htj2k[62:]

    async def play():
        async with stage() as s:
            s.add("a", broken)
            assert await s.body("a") == broken
            await s.cached()
            s.add("b", broken)
            s.add("c", htj2k[:-500])
            for name in "abc":
                async with s.get(name, endLevel=4) as response:
                    assert response.status == 502
                    assert (await response.json())["error"] == "MalformedFrame"

    run(play)


def test_an_answer_that_can_not_be_ended_is_broken_off(stage, run, htj2k):
    async def play():
        async with stage() as s:
            for name, chunked in (("a", False), ("b", True)):
                s.add(name, htj2k, pieces=[3000], cut_after=1, chunked=chunked)
                with pytest.raises(aiohttp.ClientError):
                    await s.body(name)
            assert s.metric("cache_frames") == 0
            assert s.metric("cache_bytes") == 0
            assert s.metric("broken_off_total", reason="upstream") == 2

    run(play)


def test_a_frame_over_its_share_is_not_cached_and_not_read_on(stage, run, htj2k):
    async def play():
        async with stage(cache_max_bytes=8 * 2048) as s:
            s.add("a", htj2k, pieces=[4000], gates={1: asyncio.Event()})
            ends = scan_levels(htj2k).ends
            assert await s.body("a", endLevel=0) == htj2k[: ends[0]]
            async with asyncio.timeout(3):
                await s.upstream.gone.wait()
            s.add("b", htj2k)
            assert await s.body("b") == htj2k
            assert await s.body("b") == htj2k
            assert len(s.upstream.requests) == 3
            assert s.metric("cache_frames") == 0

    run(play)


def test_without_a_cache_every_frame_is_asked_for(stage, run, htj2k):
    async def play():
        async with stage(cache_max_bytes=0) as s:
            s.add("a", htj2k)
            for _ in range(2):
                assert await s.body("a") == htj2k
            assert len(s.upstream.requests) == 2

    run(play)


async def unread(s, frame_id):
    """Ask for a frame by GET and take nothing of the answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", int(s.url.rpartition(":")[2])))
    path = f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/imageFrame/{frame_id * 32}"
    await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def test_a_client_that_takes_nothing_is_broken_off(stage, run, monkeypatch):
    monkeypatch.setattr("isocenter.tlm_proxy.http.answers.CLIENT_PATIENCE_S", 0.2)

    async def play():
        async with stage() as s:
            s.add("a", bytes(24 << 20), media_type="image/jpeg")
            for count in (1, 2):
                with await unread(s, "a"):
                    await s.until(
                        lambda: (
                            s.metric("broken_off_total", reason="client too slow")
                            >= count  # noqa: B023 - awaited within the turn
                        )
                    )
                # Once as it arrives, once from the cache.
                assert len(await s.body("a")) == 24 << 20
                await s.cached()

    run(play)
