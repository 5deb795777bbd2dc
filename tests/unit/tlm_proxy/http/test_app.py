"""Requests that aren't read, probes, CORS, errors as JSON."""

import pytest

from isocenter.core.errors import (
    AwsError,
    BusyError,
    IsocenterError,
    MalformedError,
    UnavailableError,
)
from isocenter.tlm_proxy import errors
from isocenter.tlm_proxy.errors import ANSWERS, UNEXPECTED, answer_for

GOOD = "a" * 32
PROBLEM = "application/problem+json"
URN = "urn:isocenter:problem:"


@pytest.mark.parametrize(
    "wrong", ["A" * 32, "a" * 31, "a" * 33, "a" * 31 + "%0A", "..%2F" + "a" * 27]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_ids_that_are_none_are_400(stage, run, wrong, place):
    ids = [GOOD] * 3
    ids[place] = wrong

    async def play():
        async with stage() as s:
            path = "/datastore/{}/imageSet/{}/imageFrame/{}".format(*ids)
            async with s.client.get(path) as response:
                assert response.status in {400, 404}
                assert (response.status == 404) == ("%2F" in wrong)
                assert response.headers["Content-Type"] == PROBLEM
                answer = await response.json()
                assert set(answer) == {"type", "title", "status", "detail"}
                assert answer["status"] == response.status
                assert wrong not in answer["detail"]
            assert not s.upstream.requests

    run(play)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"imageFrameId": 3}', 400),
        (b'{"imageFrameId": "x"}', 400),
        (b'{"imageFrameId": "' + b"a" * 31 + b'\\n"}', 400),
        (b" " * 5000, 413),
    ],
)
def test_bodies_that_can_not_be_read(stage, run, body, status):
    async def play():
        async with stage() as s:
            async with s.client.post(
                f"/datastore/{GOOD}/imageSet/{GOOD}/getImageFrame", data=body
            ) as response:
                assert response.status == status
                kind = "too-large" if status == 413 else "bad-request"
                assert (await response.json())["type"] == URN + kind
            assert not s.upstream.requests

    run(play)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"startLevel": "x"}, "startLevel must be a number"),
        ({"endLevel": "-1"}, "endLevel must be a number"),
        ({"startLevel": "2", "endLevel": "1"}, "after endLevel 1"),
        ({"reduce": "half"}, "reduce must be a number"),
        ({"reduce": "1", "endLevel": "1"}, "reduce goes without"),
    ],
)
def test_levels_that_can_not_be_read(stage, run, query, text):
    async def play():
        async with stage() as s:
            for call in (s.get, s.post):
                async with call("a", **query) as response:
                    assert response.status == 400
                    assert text in (await response.json())["detail"]
            assert not s.upstream.requests

    run(play)


def test_a_frame_is_cacheable_by_get_alone(stage, run):
    async def play():
        async with stage() as s:
            s.add("a", b"body")
            for _ in range(2):
                async with s.get("a") as response:
                    cached = response.headers["Cache-Control"]
                    assert cached == "private, max-age=31536000, immutable"
                async with s.post("a") as response:
                    assert "Cache-Control" not in response.headers

    run(play)


def test_probes_and_metrics(stage, run):
    async def play():
        async with stage() as s:
            for path in ("/healthcheck", "/healthz", "/readyz"):
                async with s.client.get(path) as response:
                    assert response.status == 200, path
            s.add("a", b"body")
            await s.body("a")
            await s.cached()
            await s.body("a")
            async with s.client.get("/metrics") as response:
                text = await response.text()
            for line in (
                "isocenter_tlm_proxy_cache_hits_total 1.0",
                "isocenter_tlm_proxy_cache_misses_total 1.0",
                "isocenter_tlm_proxy_cache_bytes",
                'isocenter_tlm_proxy_sent_bytes_total{source="cache"} 4.0',
                'isocenter_tlm_proxy_requests_total{route="frame",status="200"} 2.0',
            ):
                assert line in text

    run(play)


def test_not_ready_while_keys_or_credentials_are_missing(stage, run):
    async def play():
        async with stage(
            auth_mode="oidc",
            oidc_issuer="http://127.0.0.1:9",
            oidc_audience="tiles",
        ) as s:
            async with s.client.get("/readyz") as response:
                assert response.status == 503
                assert "keys are not read" in await response.text()
            s.context.upstream._problem = "no AWS credentials"
            async with s.client.get("/readyz") as response:
                assert "no AWS credentials" in await response.text()
            async with s.client.get("/healthz") as response:
                assert response.status == 200

    run(play)


def test_cors_is_for_listed_origins(stage, run):
    async def play():
        async with stage(cors_allow_origins=("https://viewer.example",)) as s:
            s.add("a", b"body")
            for origin, allowed in (
                ("https://viewer.example", "https://viewer.example"),
                ("https://elsewhere.example", None),
            ):
                async with s.get("a", headers={"Origin": origin}) as response:
                    found = response.headers.get("Access-Control-Allow-Origin")
                    assert found == allowed
            async with s.client.options(
                f"/datastore/{GOOD}/imageSet/{GOOD}/getImageFrame",
                headers={
                    "Origin": "https://viewer.example",
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization,content-type",
                },
            ) as response:
                assert response.status == 200
                assert "POST" in response.headers["Access-Control-Allow-Methods"]
        async with stage() as s:
            s.add("a", b"body")
            async with s.get("a", headers={"Origin": "https://any"}) as response:
                assert "Access-Control-Allow-Origin" not in response.headers

    run(play)


def test_unknown_paths_and_methods_are_json_too(stage, run):
    async def play():
        async with stage() as s:
            async with s.client.get("/nothing") as response:
                assert response.status == 404
                assert response.headers["Content-Type"] == PROBLEM
                assert (await response.json()) == {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "Not Found",
                }
            frame = f"/datastore/{GOOD}/imageSet/{GOOD}/imageFrame/{GOOD}"
            for path, allowed in (("/healthz", "GET"), (frame, "GET, HEAD")):
                async with s.client.delete(path) as response:
                    assert response.status == 405
                    assert response.headers["Allow"] == allowed
                    assert (await response.json())["title"] == "Method Not Allowed"

    run(play)


def test_the_interface_is_described(stage, run):
    async def play():
        async with stage() as s, s.client.get("/openapi.json") as response:
            paths = (await response.json())["paths"]
            post = paths[
                "/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
            ]
            names = {p["name"] for p in post["post"]["parameters"]}
            assert {"startLevel", "endLevel", "reduce"} < names
            assert "requestBody" in post["post"]

    run(play)


def kinds(root):
    for kind in root.__subclasses__():
        if kind.__module__.startswith(("isocenter.core.errors", errors.__name__)):
            yield kind
            yield from kinds(kind)


def made(kind):
    error = kind.__new__(kind, "text")
    assert str(error) == "text"
    return error


def test_every_failure_has_its_answer():
    elsewhere = {"ConfigurationError", "IntegrityError", "AwsError"}
    for kind in kinds(IsocenterError):
        if kind.__name__ not in elsewhere:
            assert answer_for(made(kind)) is not UNEXPECTED, kind
    assert answer_for(ValueError("text")) is UNEXPECTED
    assert answer_for(AwsError("text")) is UNEXPECTED
    assert answer_for(BusyError("x")).status == 503
    assert answer_for(UnavailableError("x")).status == 502
    assert answer_for(MalformedError("x")).status == 502
    assert len({answer.error for answer in ANSWERS.values()}) == len(ANSWERS)


def test_an_error_of_ours_is_500_without_its_text(stage, run, monkeypatch):
    async def play():
        async with stage() as s:

            async def broken(key, client):
                raise ValueError("inner matter")

            monkeypatch.setattr(s.context.frames, "open", broken)
            async with s.get("a") as response:
                assert response.status == 500
                answer = await response.json()
            assert answer["type"] == URN + "internal-error"
            assert "inner matter" not in answer["detail"]
            assert s.metric("requests_total", route="frame", status="500") == 1

    run(play)
