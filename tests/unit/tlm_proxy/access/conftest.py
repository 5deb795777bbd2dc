"""Tokens of our own keys, and an issuer on loopback."""

import json
import time
from contextlib import asynccontextmanager

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.access.tokens import build_access
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

POOL = "eu-west-1_AbCdEf123"
COGNITO = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
CLIENT = "1example23456789"


@pytest.fixture(scope="session")
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


def signed(private, claims, key_id="k1", algorithm="RS256", **header):
    headers = {"kid": key_id, **header}
    return jwt.encode(claims, private, algorithm, headers=headers)


@asynccontextmanager
async def opened(served, **values):
    """Access by settings, asking the issuer ``served``."""
    defaults = {
        "auth_mode": "cognito",
        "cognito_user_pool_id": POOL,
        "cognito_client_id": CLIENT,
        "jwks_url": f"{served['url']}/keys",
    }
    if values.get("auth_mode") == "oidc":
        defaults = {"oidc_issuer": served["url"]}
    settings = Settings(**{**defaults, **values})
    access = build_access(settings, Metrics(CollectorRegistry()))
    await access.open()
    try:
        yield access
    finally:
        await access.aclose()


@pytest.fixture(name="issuer")
def issuer_fixture():
    return issuer


@pytest.fixture(name="jwk")
def jwk_fixture():
    return jwk


@pytest.fixture(name="cognito_claims")
def claims_fixture():
    return cognito_claims


@pytest.fixture(name="signed")
def signed_fixture():
    return signed


@pytest.fixture(name="opened")
def opened_fixture():
    return opened


@pytest.fixture(autouse=True)
def aws_variables(monkeypatch):
    """Nothing of this machine's AWS set-up reaches a test."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
