"""Status and headers of frames: cold, warm at once, and warm through ASGI."""

import pytest

from isocenter.core.codestream import scan_levels
from isocenter.tlm_proxy.http.frame_answer import send_frame, stored_answer
from isocenter.tlm_proxy.http.hot import HotRequest

BODY = bytes(range(256)) * 8
IMMUTABLE = "private, max-age=31536000, immutable"
PROTOCOLS = [None, "httptools"]
"""Ours with its short way, and uvicorn's alone."""


async def warm(s, letter="a"):
    await s.body(letter)
    await s.cached()


def told(response):
    """Headers, but for those that the server adds."""
    kept = dict(response.headers)
    kept.pop("Date", None)
    return {name.lower(): value for name, value in kept.items()}


def test_three_ways_one_answer(stage, run, htj2k):
    """As it arrives, at once, and through ASGI: the same but for the way."""

    async def play():
        found = []
        for protocol in PROTOCOLS:
            async with stage(protocol) as s:
                s.add("a", htj2k)
                for _ in range(2):
                    for query in ({}, {"endLevel": 1}, {"reduce": 2}):
                        async with s.get("a", **query) as response:
                            body = await response.read()
                            found.append((response.status, told(response), body))
                    await s.cached()
                assert len(s.upstream.requests) == 1
        size = len(found) // 4
        for turn in range(1, 4):
            assert found[:size] == found[turn * size : (turn + 1) * size]
        ends = scan_levels(htj2k).ends
        whole, levels, reduced = found[:size]
        for (_, headers, body), length, media_type in (
            (whole, len(htj2k), "image/jphc"),
            (levels, ends[1], "application/octet-stream"),
            (reduced, ends[-3], "image/jphc"),
        ):
            assert body == htj2k[:length]
            assert headers == {
                "content-type": media_type,
                "content-length": str(length),
                "x-content-type-options": "nosniff",
                "etag": headers["etag"],
                "cache-control": IMMUTABLE,
                "accept-ranges": "bytes",
            }
        assert len({headers["etag"] for _, headers, _ in found}) == 3

    run(play)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_conditions(stage, run, protocol):
    async def play():
        async with stage(protocol) as s:
            s.add("a", BODY, media_type="image/jpeg")
            async with s.get("a") as response:
                tag = response.headers["ETag"]
                await response.read()
            await s.cached()
            s.add("b", BODY)
            for held in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                async with s.get("a", headers={"If-None-Match": held}) as response:
                    assert response.status == 304
                    assert response.headers["ETag"] == tag
                    assert response.headers["Cache-Control"] == IMMUTABLE
                    assert await response.read() == b""
            async with s.get("a", headers={"If-None-Match": '"x"'}) as response:
                assert (response.status, await response.read()) == (200, BODY)
            asked = len(s.upstream.requests)
            # The tag says it all; * asks whether there is a frame.
            unread = tag.replace("a" * 32, "c" * 32)
            async with s.get("c", headers={"If-None-Match": unread}) as response:
                assert response.status == 304
            assert len(s.upstream.requests) == asked
            for letter, status in (("b", 304), ("c", 404)):
                async with s.get(letter, headers={"If-None-Match": "*"}) as response:
                    assert response.status == status
            # The sample's POST is not cacheable.
            async with s.post("a", headers={"If-None-Match": tag}) as response:
                assert response.status == 200
                assert "ETag" not in response.headers

    run(play)


@pytest.mark.parametrize("cold", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_head(stage, run, cold, chunked):
    async def play():
        async with stage() as s:
            s.add("a", BODY, media_type="image/jpeg", chunked=chunked)
            if not cold:
                await warm(s)
            async with s.head("a") as response:
                assert response.status == 200
                if not (chunked and cold):
                    assert response.headers["Content-Length"] == str(len(BODY))
                assert response.headers["Accept-Ranges"] == "bytes"
                assert await response.read() == b""

    run(play)


RANGES = [
    ({"Range": "bytes=0-9"}, 206, (0, 10)),
    ({"Range": "bytes=100-"}, 206, (100, 2048)),
    ({"Range": "bytes=-5"}, 206, (2043, 2048)),
    ({"Range": "bytes=0-99999"}, 206, (0, 2048)),
    ({"Range": "bytes=0-1,4-5"}, 200, (0, 2048)),
    ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200, (0, 2048)),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("cold", [True, False])
def test_ranges(stage, run, protocol, cold):
    async def play():
        async with stage(protocol, cache_max_bytes=0 if cold else 1 << 20) as s:
            s.add("a", BODY, media_type="image/jpeg", pieces=[7, 700])
            if not cold:
                await warm(s)
            for headers, status, (start, stop) in RANGES:
                async with s.get("a", headers=headers) as response:
                    assert response.status == status, headers
                    assert await response.read() == BODY[start:stop]
                    assert response.headers["Content-Length"] == str(stop - start)
                    found = response.headers.get("Content-Range")
                    wanted = f"bytes {start}-{stop - 1}/2048"
                    assert found == (wanted if status == 206 else None)
            async with s.get("a", headers={"Range": "bytes=2048-"}) as response:
                assert response.status == 416
                assert response.headers["Content-Range"] == "bytes */2048"
                assert response.headers["Content-Type"] == "application/problem+json"

    run(play)


def test_a_range_of_levels_is_of_what_was_asked_for(stage, run, htj2k):
    async def play():
        end = scan_levels(htj2k).ends[1]
        for cache in (0, 1 << 20):
            async with stage(cache_max_bytes=cache) as s:
                s.add("a", htj2k)
                for _ in range(2):
                    headers = {"Range": "bytes=-10"}
                    async with s.get("a", headers=headers, endLevel=1) as response:
                        assert response.status == 206
                        assert await response.read() == htj2k[end - 10 : end]
                        found = response.headers["Content-Range"]
                        assert found == f"bytes {end - 10}-{end - 1}/{end}"

    run(play)


def test_a_level_that_is_not_there_is_416_and_names_them(stage, run, htj2k):
    async def play():
        async with stage() as s:
            s.add("a", htj2k)
            for _ in range(2):
                async with s.get("a", startLevel=9) as response:
                    assert response.status == 416
                    assert "the frame has 5 levels" in (await response.json())["detail"]
                await s.body("a")
                await s.cached()

    run(play)


def test_nothing_is_compressed(stage, run):
    async def play():
        async with stage() as s:
            s.add("a", bytes(5000), media_type="image/jpeg")
            for _ in range(2):
                headers = {"Accept-Encoding": "gzip, br"}
                async with s.get("a", headers=headers) as response:
                    assert "Content-Encoding" not in response.headers
                    assert len(await response.read()) == 5000
                await s.cached()

    run(play)


def test_what_was_found_is_the_answer_for_that_frame_alone(stage, run, key_of):
    """An instance's frame may be another one by the time the long way is taken."""

    async def play():
        async with stage() as s:
            big = b"a" * 300_000
            for letter, body in (("a", big), ("b", BODY)):
                s.add(letter, body, media_type="image/jpeg")
                await s.body(letter)
            await s.cached(2)
            scope = {"headers": [], "query_string": b""}
            request = HotRequest(scope, None, "GET", ())
            # Too big for the short way, which leaves what it found.
            assert stored_answer(s.context, request, key_of("a"), None, None) is None
            sent = []

            async def send(message):
                sent.append(message)

            caller = s.context.access.known(None)
            for letter, body in (("a", big), ("b", BODY)):
                sent.clear()
                await send_frame(
                    s.context, request, send, key_of(letter), None, caller, None
                )
                assert b"".join(each["body"] for each in sent[1:]) == body
            assert s.metric("cache_hits_total") == 2

    run(play)
