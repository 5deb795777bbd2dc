"""The issuer's name, and its keys."""

import asyncio

import pytest
from jwt.algorithms import RSAAlgorithm

from isocenter.tlm_proxy.access.issuer import (
    MAX_AGE_S,
    MAX_STALE_S,
    MIN_INTERVAL_S,
    Issuer,
    JwksReader,
    KeySet,
    issuer_of,
    parse_keys,
)
from isocenter.tlm_proxy.errors import KeysUnavailableError, UnauthorizedError
from isocenter.tlm_proxy.settings import Settings

POOL = "eu-west-1_AbCdEf123"
COGNITO = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
CLIENT = "1example23456789"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def key_set(*answers, changed=lambda _: None):
    """Answers in turn; the last one for ever."""
    asked = []

    async def fetch():
        asked.append(1)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    return KeySet(fetch, clock, changed), asked, clock


def test_a_rotated_key_works_at_once_and_made_up_ones_cost_nothing(keys, jwk):
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


def test_a_withdrawn_key_ends_within_the_hour(keys, jwk):
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


def test_the_last_keys_serve_while_the_issuer_is_away_for_a_day(keys, jwk):
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


def test_only_signing_keys_of_our_algorithms_are_kept(keys, jwk):
    document = {
        "keys": [
            jwk(keys["rsa"], "good"),
            jwk(keys["rsa"], "encrypts", use="enc"),
            jwk(keys["rsa"], "rs512", alg="RS512"),
            {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "broken"},
            RSAAlgorithm.to_jwk(keys["rsa"], as_dict=True) | {"kid": "private"},
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
def test_who_issues_cognito_tokens(monkeypatch, variables, values, expected):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = Settings(
        auth_mode="cognito",
        cognito_user_pool_id=POOL,
        cognito_client_id=CLIENT,
        **values,
    )
    issuer = issuer_of(settings)
    assert (issuer.name, issuer.jwks_url) == expected


def test_known_keys_do_not_wait_for_an_issuer_that_is_slow(keys, jwk):
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


def test_changes_are_told_and_an_id_that_got_another_key_is_one(keys, jwk):
    told = []
    subject, _, clock = key_set(
        {"keys": [jwk(keys["rsa"], "k1"), jwk(keys["ec"], "k2")]},
        {"keys": [jwk(keys["rsa"], "k1"), jwk(keys["ec"], "k2")]},
        {"keys": [jwk(keys["other"], "k1"), jwk(keys["ec"], "k2")]},
        {"keys": [jwk(keys["ec"], "k1")]},
        KeysUnavailableError("away"),
        changed=told.append,
    )

    async def play():
        for _ in range(5):
            await subject.refresh()
            clock.now += MIN_INTERVAL_S

    asyncio.run(play())
    assert told == [[], ["k1", "k2"], ["k2"], []]


def test_an_issuer_is_read_by_discovery(keys, jwk, issuer):
    async def play():
        async with issuer(jwk(keys["rsa"], "k1")) as served:
            reader = JwksReader(Issuer(served["url"], None))
            with pytest.raises(KeysUnavailableError, match="before the start"):
                await reader()
            await reader.aclose()
            reader.open()
            assert set(parse_keys(await reader())) == {"k1"}
            assert served["asked"] == ["/.well-known/openid-configuration", "/keys"]
            served["discovery"] = {"issuer": "https://elsewhere"}
            with pytest.raises(KeysUnavailableError, match="does not name it"):
                await reader()
            served["status"] = 500
            served["discovery"] = {}
            with pytest.raises(KeysUnavailableError, match="answered 500"):
                await reader()
            served.update(status=200, jwks=[1])
            with pytest.raises(KeysUnavailableError, match="not a JSON object"):
                await reader()
            served["jwks"] = {"x": "y" * 300_000}
            with pytest.raises(KeysUnavailableError, match="is over 262144 bytes"):
                await reader()
            await reader.aclose()

    asyncio.run(play())


def test_an_issuer_that_is_away():
    async def play():
        reader = JwksReader(Issuer("http://127.0.0.1:9", None))
        reader.open()
        with pytest.raises(KeysUnavailableError):
            await reader()
        await reader.aclose()

    asyncio.run(play())
