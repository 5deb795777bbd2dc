"""Which tokens are accepted, what their bearers may read, how long they are known."""

import asyncio
import json
import time
from functools import partial

import jwt
import pytest
from prometheus_client import CollectorRegistry

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.tlm_proxy.access import tokens
from isocenter.tlm_proxy.access.issuer import MIN_INTERVAL_S
from isocenter.tlm_proxy.access.known_tokens import KnownTokens
from isocenter.tlm_proxy.access.tokens import OpenAccess, bearer, build_access
from isocenter.tlm_proxy.errors import (
    ForbiddenError,
    KeysUnavailableError,
    UnauthorizedError,
)
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

CLIENT = "1example23456789"
A, B = "a" * 32, "b" * 32


async def outcome(access, token):
    """ "" if the token is accepted, else why not."""
    try:
        await access.check([f"Bearer {token}"])
    except UnauthorizedError as error:
        return f"{error.code}: {error}"
    return ""


@pytest.fixture
def now():
    return int(time.time())


REFUSED = [
    (lambda n: {"exp": n - 60}, "has expired"),
    (lambda n: {"nbf": n + 60}, "not valid yet"),
    (lambda n: {"iat": n + 60}, "not valid yet"),
    (lambda _: {"iss": "https://elsewhere"}, "another issuer"),
    (lambda _: {"token_use": "id"}, "token_use is not accepted"),
    (lambda _: {"token_use": None}, "token_use is not accepted"),
    (lambda _: {"token_use": ["access"]}, "token_use is not accepted"),
    (lambda _: {"client_id": "another"}, "client_id is not accepted"),
    (lambda _: {"client_id": [CLIENT]}, "client_id is not accepted"),
    (lambda _: {"client_id": None, "aud": CLIENT}, "client_id is not accepted"),
    (lambda _: {"exp": None}, "lacks a claim"),
    (lambda _: {"exp": "soon"}, "not valid"),
    (lambda _: {"iss": None}, "lacks a claim"),
    (lambda _: {"sub": 5}, "not valid"),
]


def test_cognito_access_tokens(
    issuer, opened, jwk, keys, signed, cognito_claims, caplog, now
):
    caplog.set_level("DEBUG")

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served, opened(served) as access:
            assert access.problem() is not None
            good = signed(keys["rsa"], cognito_claims())
            assert access.known(f"Bearer {good}".encode()) is None
            caller = await access.check([f"Bearer {good}"])
            assert caller.subject == "user-1"
            assert "user-1" not in caller.client
            assert caller.datastores is None
            assert access.known(f"Bearer {good}".encode()) is caller
            assert access.known(None) is None
            assert access.problem() is None
            for change, reason in REFUSED:
                claims = cognito_claims(**change(now))
                if claims.get("sub") == 5 or claims.get("exp") == "soon":
                    token = raw(keys["rsa"], claims)
                else:
                    token = signed(keys["rsa"], claims)
                why = await outcome(access, token)
                assert why.startswith("invalid_token: ")
                assert reason in why
                assert access.known(f"Bearer {token}".encode()) is None
            forged = signed(keys["other"], cognito_claims())
            assert "signature is wrong" in await outcome(access, forged)
            assert served["asked"] == ["/keys"]
            for secret in (good, forged, good.split(".")[2], "user-1", CLIENT):
                assert secret not in caplog.text

    asyncio.run(play())


def raw(private, claims):
    """A token with claims that PyJWT would not write."""
    return jwt.PyJWS().encode(
        json.dumps(claims).encode(), private, "RS256", headers={"kid": "k1"}
    )


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_oidc_tokens_for_an_audience(issuer, opened, jwk, keys, signed, algorithm, now):
    private = keys["rsa" if algorithm == "RS256" else "ec"]

    async def play():
        async with issuer(jwk(private, "k1")) as served:
            claims = {"iss": served["url"], "aud": ["x", "tiles"], "exp": now + 60}
            async with opened(
                served, auth_mode="oidc", oidc_audience="tiles"
            ) as access:
                for change, accepted in [
                    ({}, True),
                    ({"aud": "tiles"}, True),
                    ({"token_use": "access"}, True),
                    ({"token_use": "id"}, False),
                    ({"aud": "x"}, False),
                    ({"aud": None}, False),
                    ({"iss": "https://elsewhere"}, False),
                ]:
                    token = signed(
                        private,
                        {k: v for k, v in (claims | change).items() if v is not None},
                        algorithm=algorithm,
                    )
                    assert (await outcome(access, token) == "") == accepted, change
            assert served["asked"] == ["/.well-known/openid-configuration", "/keys"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"client_id": "web"}, True),
        ({"azp": "app"}, True),
        ({"client_id": "web", "aud": "whatever"}, True),
        # client_id decides where both are
        ({"client_id": "other", "azp": "app"}, False),
        ({"azp": "other"}, False),
        ({}, False),
    ],
)
def test_oidc_tokens_of_clients(
    issuer, opened, jwk, keys, signed, now, claims, accepted
):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with opened(
                served, auth_mode="oidc", oidc_client_ids=("web", "app")
            ) as access:
                given = {"iss": served["url"], "exp": now + 60, **claims}
                token = signed(keys["rsa"], given)
                assert (await outcome(access, token) == "") == accepted

    asyncio.run(play())


@pytest.mark.parametrize("written", [f"x,{CLIENT}", f" {CLIENT} , y ", CLIENT])
def test_several_cognito_clients(
    issuer, opened, jwk, keys, signed, cognito_claims, written
):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with opened(served, cognito_client_id=written) as access:
                token = signed(keys["rsa"], cognito_claims())
                assert await outcome(access, token) == ""
                token = signed(keys["rsa"], cognito_claims(client_id=""))
                assert "client_id" in await outcome(access, token)

    asyncio.run(play())


def test_a_scope_that_is_asked_for(issuer, opened, jwk, keys, signed, cognito_claims):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with opened(served, required_scope="tiles/read") as access:
                good = signed(keys["rsa"], cognito_claims(scope="a tiles/read"))
                assert await outcome(access, good) == ""
                bad = signed(keys["rsa"], cognito_claims(scope="secret-scope"))
                with pytest.raises(ForbiddenError, match="tiles/read") as caught:
                    await access.check([f"Bearer {bad}"])
                assert caught.value.code == "insufficient_scope"
                assert "secret-scope" not in str(caught.value)

    asyncio.run(play())


def test_rights_by_claim(issuer, opened, jwk, keys, signed, cognito_claims):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with opened(
                served,
                datastores=(A,),
                datastores_claim="cognito:groups",
                datastore_groups={"radiology": (A, B)},
            ) as access:
                claims = cognito_claims(**{"cognito:groups": ["radiology"]})
                header = f"Bearer {signed(keys['rsa'], claims)}"
                for caller in (
                    await access.check([header]),
                    access.known(header.encode()),
                ):
                    caller.require(A)
                    with pytest.raises(ForbiddenError, match=B):
                        caller.require(B)

    asyncio.run(play())


def test_tokens_that_mislead_about_their_algorithm(
    issuer, opened, jwk, keys, signed, cognito_claims
):
    public = keys["rsa"].public_key()

    def unsigned(algorithm):
        part = jwt.utils.base64url_encode
        header = part(json.dumps({"alg": algorithm, "kid": "k1"}).encode())
        claims = part(json.dumps(cognito_claims()).encode())
        return b".".join([header, claims, b""]).decode()

    key = str(public.public_numbers().n)
    hmac = jwt.encode(cognito_claims(), key, "HS256", headers={"kid": "k1"})
    misleading = [
        unsigned("none"),
        unsigned("None"),
        unsigned("RS256"),
        hmac,
        signed(keys["rsa"], cognito_claims(), algorithm="RS512"),
        signed(keys["rsa"], cognito_claims(), algorithm="PS256"),
        signed(keys["ec"], cognito_claims(), algorithm="ES256"),
        jwt.encode(cognito_claims(), keys["rsa"], "RS256"),
        signed(keys["rsa"], cognito_claims(), crit=["x"], x=1),
        "a.b.c",
        "x",
        "\xff.\xff.\xff",
    ]

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served, opened(served) as access:
            for token in misleading:
                assert await outcome(access, token) != "", token[:20]

    asyncio.run(play())


def test_an_issuer_that_is_away(issuer, opened, jwk, keys, signed, cognito_claims):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served, opened(served) as access:
            served["status"] = 500
            with pytest.raises(KeysUnavailableError):
                await access.check([f"Bearer {signed(keys['rsa'], cognito_claims())}"])
            await access.prepare()
            assert access.problem() == "the token issuer's keys are not read"

    asyncio.run(play())


class Clock:
    """Time as it is, and as much later as it is told."""

    later = 0.0

    def __call__(self):
        return time.time() + self.later


@pytest.mark.parametrize(
    ("recheck_s", "lives_s", "known_after", "unknown_after"),
    [(300, 600, 295, 305), (86400, 600, 595, 605)],
)
def test_how_long_a_token_is_known(
    issuer,
    opened,
    jwk,
    keys,
    signed,
    cognito_claims,
    recheck_s,
    lives_s,
    known_after,
    unknown_after,
):
    clock = Clock()

    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            async with opened(served, token_recheck_s=recheck_s) as access:
                access._clock = access._known._clock = clock
                claims = cognito_claims(exp=int(time.time()) + lives_s)
                header = f"Bearer {signed(keys['rsa'], claims)}"
                await access.check([header])
                clock.later = known_after
                assert access.known(header.encode()) is not None
                clock.later = unknown_after
                assert access.known(header.encode()) is None

    asyncio.run(play())


def test_a_token_is_not_known_after_its_key_was_rotated_out(
    issuer, opened, jwk, keys, signed, cognito_claims
):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served, opened(served) as access:
            ticks = {"now": 0.0}
            access._keys._clock = lambda: ticks["now"]
            old = f"Bearer {signed(keys['rsa'], cognito_claims())}"
            await access.check([old])
            assert access.known(old.encode()) is not None
            served["jwks"] = {"keys": [jwk(keys["other"], "k2")]}
            ticks["now"] += MIN_INTERVAL_S
            new = f"Bearer {signed(keys['other'], cognito_claims(), 'k2')}"
            await access.check([new])
            assert access.known(new.encode()) is not None
            assert access.known(old.encode()) is None
            with pytest.raises(UnauthorizedError, match="unknown key"):
                await access.check([old])

    asyncio.run(play())


def test_many_tokens_are_not_all_remembered(
    monkeypatch, issuer, opened, jwk, keys, signed, cognito_claims
):
    monkeypatch.setattr(tokens, "KnownTokens", partial(KnownTokens, most=50))

    async def play():
        async with issuer(jwk(keys["ec"], "k1")) as served, opened(served) as access:
            for number in range(200):
                claims = cognito_claims(jti=str(number))
                token = signed(keys["ec"], claims, algorithm="ES256")
                await access.check([f"Bearer {token}"])
            assert len(access._known) == 50
            assert access._counted._value.get() == 50
            # one token, however it is written, is one
            for spelling in ("bearer", "BEARER", "Bearer ", "Bearer  "):
                await access.check([f"{spelling} {token}"])
            assert len(access._known) == 50

    asyncio.run(play())


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


@pytest.mark.parametrize("served", [(), (A,)])
def test_open_access_lets_everybody_in_to_what_is_served(served, caplog):
    settings = Settings(auth_mode="none", datastores=served)
    access = build_access(settings, Metrics(CollectorRegistry()))
    assert isinstance(access, OpenAccess)
    assert "whoever reaches this port" in caplog.text

    async def play():
        await access.open()
        await access.prepare()
        caller = await access.check([])
        assert access.known(None) is access.known(b"x") is caller
        assert (caller.subject, caller.client, access.problem()) == ("", "", None)
        caller.require(A)
        if served:
            with pytest.raises(ForbiddenError):
                caller.require(B)
        await access.aclose()

    asyncio.run(play())


COGNITO_VARIABLES = {
    "COGNITO_USER_POOL_ID": "eu-west-1_AbCdEf123",
    "COGNITO_CLIENT_ID": CLIENT,
}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (COGNITO_VARIABLES | {"COGNITO_CLIENT_ID": ","}, "COGNITO_CLIENT_ID"),
        (COGNITO_VARIABLES | {"COGNITO_CLIENT_ID": "a,,b"}, "COGNITO_CLIENT_ID"),
        (COGNITO_VARIABLES | {"DATASTORES": f'["{A}","x"]'}, "DATASTORES"),
        (
            COGNITO_VARIABLES | {"DATASTORE_GROUPS": f'{{"g":["{A}"]}}'},
            "DATASTORES_CLAIM",
        ),
        (
            COGNITO_VARIABLES
            | {"DATASTORE_GROUPS": '{"g":["**"]}', "DATASTORES_CLAIM": "g"},
            "DATASTORE_GROUPS",
        ),
        (COGNITO_VARIABLES | {"REQUIRED_SCOPE": "a b"}, "REQUIRED_SCOPE"),
        (COGNITO_VARIABLES | {"REGIONS": '["nowhere"]'}, "REGIONS"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://i"}, "OIDC_CLIENT_IDS"),
    ],
)
def test_settings_that_would_let_the_wrong_ones_in_stop_the_start(
    monkeypatch, given, named
):
    for name, value in given.items():
        monkeypatch.setenv(f"TLM_PROXY_{name}", value)
    with pytest.raises(ConfigurationError, match=f"TLM_PROXY_{named}"):
        load(Settings)


def test_settings_of_rights_as_variables(monkeypatch):
    variables = COGNITO_VARIABLES | {
        "DATASTORES": f'["{A}"]',
        "DATASTORES_CLAIM": "cognito:groups",
        "DATASTORE_GROUPS": f'{{"radiology":["{A}","*"]}}',
        "REGIONS": '["eu-west-1","us-gov-west-1"]',
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"TLM_PROXY_{name}", value)
    settings = load(Settings)
    assert settings.datastore_groups == {"radiology": (A, "*")}
    assert settings.regions == ("eu-west-1", "us-gov-west-1")
