"""GetImageFrame, and what every call has in common: retries, deadlines, errors."""

import asyncio
import time
from email.utils import formatdate

import pytest
from aiohttp import web

from isocenter.core.errors import (
    AwsError,
    BusyError,
    DeniedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from isocenter.tlm_proxy.errors import (
    CircuitOpenError,
    CredentialsError,
    DeadlineError,
    OverloadedError,
)


@pytest.mark.parametrize(
    ("answer", "kind", "calls"),
    [
        ((404, "ResourceNotFoundException"), NotFoundError, 1),
        ((403, "AccessDeniedException"), DeniedError, 1),
        ((403, "ExpiredToken"), CredentialsError, 1),
        ((400, "ValidationException"), RefusedError, 1),
        ((409, "ConflictException"), OverloadedError, 2),
        ((429, "ThrottlingException"), OverloadedError, 2),
        ((500, "InternalServerException"), UnavailableError, 2),
        ((503, ""), OverloadedError, 2),
        ((301, ""), RefusedError, 1),
    ],
)
def test_failures(run, bench, fail, answer, kind, calls):
    async def play():
        async with bench(fail(*answer)) as b:
            with pytest.raises(kind) as caught:
                await b.frame("a")
            assert "a" * 32 in str(caught.value)
            assert len(b.fake.requests) == calls
            outcome = str(answer[0])
            assert b.metric("upstream_calls_total", outcome=outcome) == calls
            labels = {"region": "eu-west-1", "service": "frames"}
            assert b.metric("upstream_in_flight", **labels) == 0
            slowed = answer[0] in {429, 503}
            assert b.metric("upstream_throttled_total", **labels) == slowed * calls

    run(play)


@pytest.mark.parametrize(
    "answer", [(429, "ThrottlingException"), (500, ""), (503, ""), (409, "Conflict")]
)
def test_passing_failures_are_tried_again(run, bench, fail, ok, answer):
    async def play():
        first = fail(*answer)
        async with bench(first, first, ok(), upstream_attempts=3) as b:
            assert await b.frame() == b"body"
            assert len(b.fake.requests) == 3

    run(play)


def test_what_is_sent(run, bench, ok, key_of):
    async def play():
        async with bench(ok(**{"Content-Type": "image/jphc"})) as b:
            key = key_of("a")
            arriving = await b.upstream.frame(key, "me")
            assert (arriving.media_type, arriving.size) == ("image/jphc", 4)
            arriving.close()
            ((request, body),) = b.fake.requests
            assert request.method == "POST"
            assert request.raw_path == (
                f"/datastore/{key.datastore_id}/imageSet/{key.image_set_id}"
                "/getImageFrame"
            )
            assert body == f'{{"imageFrameId": "{key.frame_id}"}}'.encode()
            assert request.headers["Accept-Encoding"] == "identity"
            assert "AKIDEXAMPLE" in request.headers["Authorization"]
            assert b.metric("upstream_first_byte_seconds_count") == 1

    run(play)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(run, bench, fail, ok, form):
    value = "1" if form == "seconds" else formatdate(time.time() + 3, usegmt=True)

    async def play():
        first = fail(429, "ThrottlingException", **{"Retry-After": value})
        async with bench(first, ok(), upstream_deadline_s=10) as b:
            assert await b.frame() == b"body"
            first_at, second_at = b.fake.at
            assert second_at - first_at >= 0.5

    run(play)


def test_a_retry_after_past_the_deadline_is_passed_on_at_once(run, bench, fail, ok):
    async def play():
        first = fail(429, "ThrottlingException", **{"Retry-After": "60"})
        async with bench(first, ok()) as b:
            began = time.monotonic()
            with pytest.raises(OverloadedError) as caught:
                await b.frame()
            assert time.monotonic() - began < 10
            assert caught.value.retry_after == 60
            assert len(b.fake.requests) == 1

    run(play)


async def silence(_):
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    "values", [{"upstream_deadline_s": 1.0}, {"upstream_idle_s": 1.0}]
)
def test_no_answer_in_time(run, bench, values):
    async def play():
        async with bench(silence, **values) as b:
            with pytest.raises(DeadlineError):
                await b.frame()
            assert len(b.fake.requests) == 1

    run(play)


def test_the_deadline_counts_from_arrival(run, bench):
    async def play():
        async with bench(silence, upstream_connections=1, upstream_deadline_s=1.0) as b:
            began = time.monotonic()
            frames = [b.frame(name, name) for name in "abc"]
            failures = await asyncio.gather(*frames, return_exceptions=True)
            assert time.monotonic() - began < 2.5
            kinds = sorted(type(failure).__name__ for failure in failures)
            assert kinds == ["DeadlineError", "OverloadedError", "OverloadedError"]
            assert all(isinstance(failure, AwsError) for failure in failures)
            # those that only waited cost no call
            assert len(b.fake.requests) == 1

    run(play)


def test_a_cancelled_call_gives_its_place_to_the_next(run, bench, ok):
    async def play():
        async with bench(silence, ok(), upstream_connections=1) as b:
            first = asyncio.create_task(b.frame("a"))
            await b.fake.asked.wait()
            second = asyncio.create_task(b.frame("b"))
            await asyncio.sleep(0.01)
            first.cancel()
            assert await second == b"body"

    run(play)


def test_a_frame_keeps_its_connection_until_it_is_read_or_closed(
    run, bench, ok, key_of
):
    async def play():
        async with bench(ok(), upstream_connections=2) as b:
            held = [await b.upstream.frame(key_of(name), "a") for name in "ab"]
            third = asyncio.create_task(b.frame("c"))
            await asyncio.sleep(0.05)
            assert len(b.fake.requests) == 2
            assert [piece async for piece in held[0].pieces()] == [b"body"]
            assert await third == b"body"
            for each in held:
                each.close()
                each.close()
            labels = {"region": "eu-west-1", "service": "frames"}
            assert b.metric("upstream_in_flight", **labels) == 0

    run(play)


def test_nobody_there(run, bench, ok):
    async def play():
        async with bench(ok(), url="http://127.0.0.1:9") as b:
            with pytest.raises(UnavailableError) as caught:
                await b.frame()
            assert "127.0.0.1" not in str(caught.value)
            assert b.metric("upstream_calls_total", outcome="no answer") == 2

    run(play)


def test_a_service_that_keeps_failing_is_not_asked(run, bench, fail):
    async def play():
        async with bench(fail(500)) as b:
            for name in "abcde":
                with pytest.raises(UnavailableError):
                    await b.frame(name)
            assert len(b.fake.requests) == 10
            with pytest.raises(CircuitOpenError) as caught:
                await b.frame("f")
            assert 0 < caught.value.retry_after <= 2
            assert len(b.fake.requests) == 10

    run(play)


@pytest.mark.parametrize(
    "answer",
    [(404, "ResourceNotFoundException"), (403, "AccessDenied"), (429, "Throttling")],
)
def test_answers_about_one_thing_or_to_slow_down_open_no_circuit(
    run, bench, fail, answer
):
    async def play():
        async with bench(fail(*answer), upstream_attempts=1) as b:
            for name in "abcdefghijklmnop":
                with pytest.raises((NotFoundError, DeniedError, BusyError)):
                    await b.frame(name)
            assert len(b.fake.requests) == 16

    run(play)


@pytest.mark.parametrize(
    ("how", "kind"), [("break", UnavailableError), ("stop", DeadlineError)]
)
def test_pieces_that_stop_or_break_off(run, bench, how, kind):
    async def answer(request):
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"some")
        if how == "stop":
            await asyncio.sleep(60)
        request.transport.abort()
        return response

    async def play():
        async with bench(answer, upstream_idle_s=0.2) as b:
            with pytest.raises(kind) as caught:
                await b.frame("a")
            assert f"frame {'a' * 32}" in str(caught.value)

    run(play)


def test_a_region_that_is_not_served(run, bench, ok, key_of):
    async def play():
        async with bench(ok()) as b:
            with pytest.raises(NotFoundError, match="us-west-2 is not served"):
                await b.upstream.frame(key_of("a", "us-west-2"), "a")
            assert not b.fake.requests

    run(play)


def test_credentials_that_do_not_come_have_the_calls_deadline(run, bench, ok):
    async def play():
        async with bench(ok(), upstream_deadline_s=0.1) as b:
            signer = b.upstream._signers["eu-west-1"]

            async def never():
                await asyncio.Event().wait()

            signer._credentials.frozen = never
            with pytest.raises(DeadlineError, match="no AWS credentials in time"):
                await b.frame("a")
            labels = {"region": "eu-west-1", "service": "frames"}
            assert b.metric("upstream_in_flight", **labels) == 0
            assert not b.fake.requests

    run(play)
