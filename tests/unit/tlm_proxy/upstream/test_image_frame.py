"""What HealthImaging's failures become for a client."""

import asyncio

import pytest

from isocenter.tlm_proxy.upstream.image_frame import parse_error


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ((404, "ResourceNotFoundException"), (404, "NotFound", 1)),
        ((403, "AccessDeniedException"), (403, "Forbidden", 1)),
        ((403, "ExpiredToken"), (502, "UpstreamCredentials", 1)),
        ((403, "SignatureDoesNotMatch"), (502, "UpstreamCredentials", 1)),
        ((400, "ValidationException"), (400, "RefusedByHealthImaging", 1)),
        ((406, "NotAcceptableException"), (400, "RefusedByHealthImaging", 1)),
        ((409, "ConflictException"), (503, "Busy", 2)),
        ((429, "ThrottlingException"), (503, "Busy", 2)),
        ((500, "InternalServerException"), (502, "UpstreamUnavailable", 2)),
        ((503, ""), (503, "Busy", 2)),
        ((301, ""), (400, "RefusedByHealthImaging", 1)),
    ],
)
def test_failures(stage, run, failure, expected):
    status, error, calls = expected

    async def play():
        async with stage() as s:
            s.add("a", b"body", failures=[failure] * 9)
            async with s.post("a") as response:
                assert response.status == status
                answer = await response.json()
                assert response.headers["Cache-Control"] == "no-store"
                assert ("Retry-After" in response.headers) == (status == 503)
            assert set(answer) == {"error", "message"}
            assert answer["error"] == error
            assert ("said by HealthImaging" in answer["message"]) == (status == 400)
            assert len(s.upstream.requests) == calls
            outcome = str(failure[0])
            assert s.metric("upstream_calls_total", outcome=outcome) == calls

    run(play)


@pytest.mark.parametrize(
    "failure", [(429, "ThrottlingException"), (500, ""), (503, "")]
)
def test_passing_failures_are_tried_again(stage, run, failure):
    async def play():
        async with stage(upstream_attempts=3) as s:
            s.add("a", b"body", failures=[failure] * 2)
            assert await s.body("a") == b"body"
            assert len(s.upstream.requests) == 3
            stamps = {r["headers"]["Authorization"] for r in s.upstream.requests}
            assert all("AKIDEXAMPLE" in stamp for stamp in stamps)

    run(play)


def test_what_is_sent_upstream(stage, run, key_of):
    async def play():
        async with stage() as s:
            s.add("a", b"body")
            await s.body("a")
            (request,) = s.upstream.requests
            datastore, image_set, frame = key_of("a")
            assert request["method"] == "POST"
            assert request["path"] == (
                f"/datastore/{datastore}/imageSet/{image_set}/getImageFrame"
            )
            assert request["body"] == f'{{"imageFrameId": "{frame}"}}'.encode()
            assert request["headers"]["Accept-Encoding"] == "identity"

    run(play)


def test_nobody_there_is_502(stage, run):
    async def play():
        async with stage() as s:
            s.context._signer._base = "http://127.0.0.1:9"
            async with s.post("a") as response:
                assert response.status == 502
                answer = await response.text()
            assert "UpstreamUnavailable" in answer
            assert "127.0.0.1" not in answer
            assert s.metric("upstream_calls_total", outcome="no answer") == 2

    run(play)


@pytest.mark.parametrize(
    "values", [{"upstream_deadline_s": 0.1}, {"upstream_idle_s": 0.1}]
)
def test_no_answer_in_time_is_504(stage, run, values):
    async def play():
        async with stage(**values) as s:
            s.add("a", silent=True)
            async with s.post("a") as response:
                assert response.status == 504
                assert (await response.json())["error"] == "UpstreamTimeout"
            assert len(s.upstream.requests) == 1

    run(play)


def test_a_frame_that_stops_before_its_level_is_504(stage, run, htj2k):
    async def play():
        async with stage(upstream_idle_s=0.1) as s:
            s.add("a", htj2k, pieces=[60], gates={1: asyncio.Event()})
            async with s.post("a", endLevel=0) as response:
                assert response.status == 504

    run(play)


@pytest.mark.parametrize(
    ("status", "kind", "body", "parsed"),
    [
        (429, "ThrottlingException:http://x/", b"{}", ("ThrottlingException", "")),
        (400, "", b'{"__type":"a.b#Bad","message":"m"}', ("Bad", "m")),
        (400, "", b'{"code":"Bad","Message":"M"}', ("Bad", "M")),
        (404, "", b"<html>", ("ResourceNotFoundException", "")),
        (418, "", b"[1]", ("HTTP418", "")),
        (500, "", b"\xff", ("HTTP500", "")),
    ],
)
def test_errors_of_rest_json(status, kind, body, parsed):
    assert parse_error(status, kind, body) == parsed
