"""Tokens of our own keys, and an issuer on loopback."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from isocenter.tlm_proxy.access.issuer import (
    MAX_AGE_S,
    MAX_STALE_S,
    MIN_INTERVAL_S,
    KeySet,
    issuer_of,
    parse_keys,
)
from isocenter.tlm_proxy.access.tokens import OpenAccess, bearer
from isocenter.tlm_proxy.errors import KeysUnavailableError, UnauthorizedError

POOL = "eu-west-1_AbCdEf123"
COGNITO = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
CLIENT = "1example23456789"


@pytest.fixture(scope="module")
def keys():
    return {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "other": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
    }


def jwk(private, key_id, **members):
    algorithm = jwt.algorithms.ECAlgorithm
    if isinstance(private, rsa.RSAPrivateKey):
        algorithm = jwt.algorithms.RSAAlgorithm
    members = {"kid": key_id, "use": "sig", **members}
    return {**json.loads(algorithm.to_jwk(private.public_key())), **members}


@asynccontextmanager
async def issuer(*documents):
    """An issuer whose documents can be changed; counts how often it is asked."""
    served = {"asked": [], "jwks": {"keys": list(documents)}, "status": 200}

    async def answer(request):
        served["asked"].append(request.path)
        if request.path.endswith("openid-configuration"):
            document = {"issuer": served["url"], "jwks_uri": f"{served['url']}/keys"}
            return web.json_response(document | served.get("discovery", {}))
        return web.json_response(served["jwks"], status=served["status"])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served["url"] = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


def cognito_claims(**changes):
    now = int(time.time())
    claims = {
        "sub": "user-1",
        "iss": COGNITO,
        "token_use": "access",
        "client_id": CLIENT,
        "exp": now + 600,
        "iat": now,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(private, claims, key_id="k1", algorithm="RS256"):
    return jwt.encode(claims, private, algorithm, headers={"kid": key_id})


def cognito_stage(stage, served):
    return stage(
        auth_mode="cognito",
        cognito_user_pool_id=POOL,
        cognito_client_id=CLIENT,
        jwks_url=f"{served['url']}/keys",
    )


async def status(s, sent=None, **query):
    headers = {} if sent is None else {"Authorization": f"Bearer {sent}"}
    async with s.get("a", headers=headers, **query) as response:
        return response.status, response.headers.get("WWW-Authenticate", "")


def test_cognito_access_tokens(stage, run, keys, caplog):
    now = int(time.time())
    refused = {
        "has expired": cognito_claims(exp=now - 60),
        "not valid yet": cognito_claims(nbf=now + 60),
        "another issuer": cognito_claims(iss="https://elsewhere"),
        "token_use is not accepted": cognito_claims(token_use="id"),
        "client_id is not accepted": cognito_claims(client_id="another"),
        "lacks a claim": cognito_claims(exp=None),
        "lacks": cognito_claims(iss=None),
        "client_id is": cognito_claims(client_id=None, aud=CLIENT),
    }

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with cognito_stage(stage, served) as s:
                s.add("a", b"body")
                good = signed(keys["rsa"], cognito_claims())
                assert await status(s, good) == (200, "")
                for reason, claims in refused.items():
                    code, challenge = await status(s, signed(keys["rsa"], claims))
                    assert code == 401, reason
                    assert 'error="invalid_token"' in challenge
                    assert reason in challenge
                forged = signed(keys["other"], cognito_claims())
                code, challenge = await status(s, forged)
                assert code == 401
                assert "signature is wrong" in challenge
                assert len(s.upstream.requests) == 1
                assert served["asked"] == ["/keys"]
                # POST is guarded alike, and before its body is read
                async with s.client.post(
                    f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/getImageFrame"
                ) as response:
                    assert response.status == 401
                    assert (await response.json())["error"] == "Unauthorized"
                for secret in (good, forged, good.split(".")[2]):
                    assert secret not in caplog.text

    caplog.set_level("DEBUG")
    run(play)


def test_a_token_counts_in_the_header_alone(stage, run, keys):
    good = signed(keys["rsa"], cognito_claims())

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with cognito_stage(stage, served) as s:
                s.add("a", b"body")
                code, challenge = await status(s, good)
                assert code == 200
                for query in ("token", "access_token"):
                    code, challenge = await status(s, **{query: good})
                    assert (code, challenge) == (401, 'Bearer realm="isocenter"')
                async with s.get(
                    "a", headers={"token": good, "Cookie": f"token={good}"}
                ) as response:
                    assert response.status == 401
                for path in ("/healthcheck", "/healthz", "/metrics"):
                    async with s.client.get(path) as response:
                        assert response.status == 200

    run(play)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_oidc_by_discovery(stage, run, keys, algorithm):
    private = keys["rsa" if algorithm == "RS256" else "ec"]

    async def play():
        async with issuer(jwk(private, "k1")) as served:
            claims = {"iss": served["url"], "aud": ["x", "tiles"]}
            claims["exp"] = int(time.time()) + 60
            async with stage(
                auth_mode="oidc", oidc_issuer=served["url"], oidc_audience="tiles"
            ) as s:
                s.add("a", b"body")
                token = signed(private, claims, algorithm=algorithm)
                assert await status(s, token) == (200, "")
                for aud in ("x", None):
                    other = {**claims, "aud": aud}
                    other = {k: v for k, v in other.items() if v is not None}
                    token = signed(private, other, algorithm=algorithm)
                    assert (await status(s, token))[0] == 401
            assert served["asked"] == ["/.well-known/openid-configuration", "/keys"]

    run(play)


def test_an_issuer_that_names_another_is_not_believed(stage, run, keys):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            served["discovery"] = {"issuer": "https://elsewhere"}
            async with stage(
                auth_mode="oidc", oidc_issuer=served["url"], oidc_audience="tiles"
            ) as s:
                token = signed(keys["rsa"], cognito_claims())
                async with s.get(
                    "a", headers={"Authorization": f"Bearer {token}"}
                ) as response:
                    assert response.status == 503
                    assert response.headers["Retry-After"]

    run(play)


def test_tokens_that_mislead_about_their_algorithm(stage, run, keys):
    public = keys["rsa"].public_key()

    def unsigned(algorithm):
        part = jwt.utils.base64url_encode
        header = part(json.dumps({"alg": algorithm, "kid": "k1"}).encode())
        return b".".join([header, part(json.dumps(cognito_claims()).encode()), b""])

    hmac = jwt.encode(
        cognito_claims(),
        str(public.public_numbers().n),
        "HS256",
        headers={"kid": "k1"},
    )
    tokens = [
        unsigned("none").decode(),
        unsigned("RS256").decode(),
        hmac,
        signed(keys["rsa"], cognito_claims(), algorithm="RS512"),
        signed(keys["ec"], cognito_claims(), algorithm="ES256"),
        jwt.encode(cognito_claims(), keys["rsa"], "RS256"),
        "a.b.c",
        "x",
    ]

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with cognito_stage(stage, served) as s:
                for token in tokens:
                    assert (await status(s, token))[0] == 401, token[:20]
                assert not s.upstream.requests

    run(play)


@pytest.mark.parametrize(
    "headers",
    [
        ["Basic abc"],
        ["Bearer"],
        ["Bearer  "],
        ["Bearer a", "Bearer b"],
        ["Bearer " + "x" * 20000],
    ],
)
def test_headers_without_one_bearer_token(headers):
    with pytest.raises(UnauthorizedError):
        bearer(headers)


def test_no_header_gets_a_bare_challenge():
    with pytest.raises(UnauthorizedError) as caught:
        bearer([])
    assert caught.value.code == ""
    assert bearer(["bearer  abc "]) == "abc"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def key_set(*answers):
    """Answers in turn; the last one for ever."""
    asked = []

    async def fetch():
        asked.append(1)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    return KeySet(fetch, clock), asked, clock


def test_a_rotated_key_works_at_once_and_made_up_ones_cost_nothing(keys):
    first = {"keys": [jwk(keys["rsa"], "k1")]}
    second = {"keys": [jwk(keys["other"], "k2")]}
    subject, asked, clock = key_set(first, second)

    async def play():
        assert (await subject.key("k1")).key_id == "k1"
        with pytest.raises(UnauthorizedError):
            await subject.key("k2")
        assert len(asked) == 1
        clock.now += MIN_INTERVAL_S
        answers = await asyncio.gather(*(subject.key("k2") for _ in range(20)))
        assert {key.key_id for key in answers} == {"k2"}
        assert len(asked) == 2
        for number in range(50):
            with pytest.raises(UnauthorizedError):
                await subject.key(f"made up {number}")
        assert len(asked) == 2

    asyncio.run(play())


def test_a_withdrawn_key_ends_within_the_hour(keys):
    subject, _, clock = key_set(
        {"keys": [jwk(keys["rsa"], "k1"), jwk(keys["other"], "k2")]},
        {"keys": [jwk(keys["other"], "k2")]},
    )

    async def play():
        assert await subject.key("k1")
        clock.now += MAX_AGE_S + 1
        with pytest.raises(UnauthorizedError):
            await subject.key("k1")

    asyncio.run(play())


def test_the_last_keys_serve_while_the_issuer_is_away_for_a_day(keys):
    subject, asked, clock = key_set(
        {"keys": [jwk(keys["rsa"], "k1")]}, KeysUnavailableError("away")
    )

    async def play():
        assert await subject.key("k1")
        clock.now += MAX_AGE_S + 1
        assert await subject.key("k1")
        assert len(asked) == 2
        clock.now += MAX_STALE_S
        assert not subject.loaded
        with pytest.raises(KeysUnavailableError):
            await subject.key("k1")

    asyncio.run(play())


def test_only_signing_keys_of_our_algorithms_are_kept(keys):
    document = {
        "keys": [
            jwk(keys["rsa"], "good"),
            jwk(keys["rsa"], "encrypts", use="enc"),
            jwk(keys["rsa"], "rs512", alg="RS512"),
            {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "broken"},
            {"kid": "nothing"},
            "text",
        ]
    }
    assert set(parse_keys(document)) == {"good"}
    for empty in ({}, {"keys": []}, {"keys": "x"}):
        with pytest.raises(KeysUnavailableError):
            parse_keys(empty)


@pytest.mark.parametrize(
    ("variables", "values", "expected"),
    [
        ({}, {}, (COGNITO, f"{COGNITO}/.well-known/jwks.json")),
        (
            {"AWS_ENDPOINT_URL": "http://moved:5000", "AWS_REGION": "us-west-2"},
            {},
            (COGNITO, f"http://moved:5000/{POOL}/.well-known/jwks.json"),
        ),
        (
            {},
            {"oidc_issuer": "https://idp.example/p"},
            (
                "https://idp.example/p",
                "https://idp.example/p/.well-known/jwks.json",
            ),
        ),
        ({}, {"jwks_url": "https://keys.example"}, (COGNITO, "https://keys.example")),
    ],
)
def test_who_issues_cognito_tokens(
    monkeypatch, settings_of, variables, values, expected
):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = settings_of(
        auth_mode="cognito",
        cognito_user_pool_id=POOL,
        cognito_client_id=CLIENT,
        **values,
    )
    issuer = issuer_of(settings)
    assert (issuer.name, issuer.jwks_url) == expected


def test_open_access_lets_everybody_in():
    assert asyncio.run(OpenAccess().check([])).subject == ""


def test_known_keys_do_not_wait_for_an_issuer_that_is_slow(keys):
    answering = asyncio.Event()
    first = {"keys": [jwk(keys["rsa"], "k1")]}
    calls = []

    async def fetch():
        calls.append(1)
        if len(calls) > 1:
            await answering.wait()
        return first

    clock = Clock()
    subject = KeySet(fetch, clock)

    async def play():
        await subject.key("k1")
        clock.now += MAX_AGE_S + 1
        asking = asyncio.create_task(subject.key("k1"))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert (await subject.key("k1")).key_id == "k1"
        answering.set()
        await asking
        assert len(calls) == 2

    asyncio.run(play())
