"""CORS, tokens in URLs, counting: what is the same for hot and cold routes."""

import pytest

GOOD = "a" * 32
FRAME = f"/datastore/{GOOD}/imageSet/{GOOD}/imageFrame/{GOOD}"
HOT, COLD, PROBE = FRAME, f"/usage/eu-west-1/{GOOD}/studies/1.2", "/healthz"
VIEWER = "https://viewer.example"
ASKED = {
    "Origin": VIEWER,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization,range,if-none-match",
}


@pytest.mark.parametrize("path", [HOT, COLD])
def test_preflights(stage, run, path):
    async def play():
        async with stage(cors_allow_origins=(VIEWER,)) as s:
            async with s.client.options(path, headers=ASKED) as response:
                assert response.status == 200
                told = response.headers
                assert told["Access-Control-Allow-Origin"] == VIEWER
                assert "Access-Control-Allow-Credentials" not in told
                assert "GET" in told["Access-Control-Allow-Methods"]
                allowed = told["Access-Control-Allow-Headers"].lower()
                for name in ("authorization", "range", "if-none-match"):
                    assert name in allowed
                assert "Origin" in told["Vary"]
            other = {**ASKED, "Origin": "https://elsewhere.example"}
            async with s.client.options(path, headers=other) as response:
                assert response.status == 400
                assert response.headers["Content-Type"] == "application/problem+json"
                assert "Access-Control-Allow-Origin" not in response.headers
        async with (
            stage() as s,
            s.client.options(path, headers=ASKED) as response,
        ):
            assert response.status == 405
            assert "Access-Control-Allow-Origin" not in response.headers

    run(play)


def test_what_a_page_of_another_origin_may_see(stage, run):
    async def play():
        async with stage(cors_allow_origins=(VIEWER,)) as s:
            s.add("a", b"body", media_type="image/jpeg")
            for _ in range(2):
                async with s.get("a", headers={"Origin": VIEWER}) as response:
                    assert response.status == 200
                    told = response.headers
                    assert told["Access-Control-Allow-Origin"] == VIEWER
                    shown = told["Access-Control-Expose-Headers"].split(", ")
                    assert set(shown) == {
                        "Accept-Ranges",
                        "Content-Length",
                        "Content-Range",
                        "ETag",
                        "Retry-After",
                        "WWW-Authenticate",
                    }
                    assert "Origin" in told["Vary"]
                await s.cached()
            # A cache must not give this one to another origin, nor the other way.
            for _ in range(2):
                async with s.get("a") as response:
                    assert response.headers["Vary"] == "Origin"
            async with s.get("z", headers={"Origin": VIEWER}) as response:
                assert response.status == 404
                told = response.headers
                assert told["Access-Control-Allow-Origin"] == VIEWER

    run(play)


@pytest.mark.parametrize("path", [HOT, COLD, PROBE, "/nothing"])
@pytest.mark.parametrize(
    "name", ["token", "access_token", "id_token", "Authorization", "jwt"]
)
def test_a_token_in_the_url_is_refused(stage, run, caplog, path, name):
    async def play():
        async with stage() as s:
            query = f"?reduce=1&{name}=very-secret"
            async with s.client.get(path + query) as response:
                assert response.status == 400
                told = await response.json()
            assert told["type"] == "urn:isocenter:problem:token-in-url"
            assert "Authorization: Bearer" in told["detail"]
            assert "very-secret" not in str(told)
            assert not s.upstream.requests

    run(play)
    assert "very-secret" not in caplog.text


def test_answers_are_counted_by_route_and_status(stage, run):
    async def play():
        async with stage() as s:
            s.add("a", b"body")
            await s.body("a")
            await s.cached()
            for path in ("/healthz", "/nothing", "/datastore", "/usage/x", "/"):
                async with s.client.get(path):
                    pass
            async with s.get("a"), s.get("z"):
                pass
            for route, status, count in (
                ("frame", "200", 2),
                ("frame", "404", 2),
                ("probe", "200", 1),
                ("other", "404", 2),
                ("usage", "404", 1),
            ):
                labels = {"route": route, "status": status}
                assert s.metric("requests_total", **labels) == count, labels
            assert s.metric("request_seconds_count", route="frame") == 4
            assert s.metric("request_seconds_bucket", route="frame", le="+Inf") == 4
            assert s.metric("requests_under_way") == 0

    run(play)
