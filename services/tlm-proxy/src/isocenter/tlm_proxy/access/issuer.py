"""The edge to the token issuer: its name, and its public keys (JWKS)."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import boto3
from botocore import UNSIGNED
from botocore.config import Config
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from isocenter.tlm_proxy.errors import KeysUnavailableError, UnauthorizedError
from isocenter.tlm_proxy.settings import Settings

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256")
MAX_AGE_S = 3600.0
"""Keys are read again after an hour, so that a withdrawn key ends."""
MAX_STALE_S = 24 * 3600.0
"""How long the last keys are used while the issuer does not answer."""
MIN_INTERVAL_S = 10.0
"""Unknown key ids make us ask the issuer no more often than this."""
_OK = 200
_MAX_DOCUMENT = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=5)

Fetch = Callable[[], Awaitable[Mapping[str, Any]]]
Keys = Mapping[str, PyJWK]


@dataclass(frozen=True)
class Issuer:
    """Who issues the tokens.

    Attributes:
        name: the `iss` that tokens must carry.
        jwks_url: where its keys are; None: where its discovery document says.
    """

    name: str
    jwks_url: str | None


def issuer_of(settings: Settings) -> Issuer | None:
    """The issuer that the settings name; None for auth_mode none."""
    if settings.auth_mode == "oidc":
        return Issuer(str(settings.oidc_issuer), settings.jwks_url)
    if settings.auth_mode == "cognito":
        pool = str(settings.cognito_user_pool_id)
        name = settings.oidc_issuer or f"{_cognito(pool, real=True)}/{pool}"
        base = settings.oidc_issuer or f"{_cognito(pool, real=False)}/{pool}"
        return Issuer(name, settings.jwks_url or f"{base}/.well-known/jwks.json")
    return None


def _cognito(pool: str, *, real: bool) -> str:
    """Cognito's endpoint in the pool's region, by botocore.

    Tokens always name AWS's own endpoint (``real``); keys are read from the one
    that AWS's variables configure.
    """
    client = boto3.client(
        "cognito-idp",
        region_name=pool.partition("_")[0],
        config=Config(
            signature_version=UNSIGNED,
            ignore_configured_endpoint_urls=real,
            use_fips_endpoint=False if real else None,
            use_dualstack_endpoint=False if real else None,
        ),
    )
    return str(client.meta.endpoint_url).rstrip("/")


class JwksReader:
    """Reads an issuer's key set over HTTP."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the HTTP session; call inside the serving loop."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        """Close it; harmless if it wasn't open."""
        if self._session is not None:
            await self._session.close()

    async def __call__(self) -> Mapping[str, Any]:
        """The JWK Set (RFC 7517 section 5), found by discovery if need be.

        Raises:
            KeysUnavailableError: no answer, or not one of the expected form.
        """
        url = self._issuer.jwks_url
        if url is None:
            name = self._issuer.name
            found = await self._json(
                f"{name.rstrip('/')}/.well-known/openid-configuration"
            )
            # OpenID Connect Discovery 1.0 section 4.3.
            if found.get("issuer") != name or not isinstance(
                found.get("jwks_uri"), str
            ):
                raise KeysUnavailableError(
                    f"the discovery document of {name} does not name it"
                )
            url = str(found["jwks_uri"])
        return await self._json(url)

    async def _json(self, url: str) -> Mapping[str, Any]:
        if self._session is None:
            raise KeysUnavailableError("the issuer is not asked before the start")
        try:
            async with self._session.get(
                url, timeout=_TIMEOUT, headers={"Accept": "application/json"}
            ) as response:
                if response.status != _OK:
                    raise KeysUnavailableError(f"{url} answered {response.status}")
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > _MAX_DOCUMENT:
                        raise KeysUnavailableError(
                            f"{url} is over {_MAX_DOCUMENT} bytes"
                        )
            document = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnavailableError(f"{url}: {type(error).__name__}") from error
        # The second: JSON that is nested too deeply.
        except (ValueError, RecursionError) as error:
            raise KeysUnavailableError(f"{url} is not JSON") from error
        if not isinstance(document, dict):
            raise KeysUnavailableError(f"{url} is not a JSON object")
        return document


def parse_keys(document: Mapping[str, Any]) -> dict[str, PyJWK]:
    """The signing keys of a JWK Set by their id; others are left out.

    Raises:
        KeysUnavailableError: there is no usable key.
    """
    keys: dict[str, PyJWK] = {}
    found = document.get("keys")
    for jwk in found if isinstance(found, list) else []:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
            continue
        if "d" in jwk:
            # A private key that everybody can read proves nothing.
            continue
        try:
            key = PyJWK(jwk)
        except PyJWTError:
            continue
        if key.algorithm_name in ALGORITHMS and isinstance(key.key_id, str):
            keys[key.key_id] = key
    if not keys:
        raise KeysUnavailableError("the issuer's key set has no RS256 or ES256 key")
    return keys


class KeySet:
    """The issuer's keys, read when needed and kept while they are good.

    An unknown key id makes it read again, so a rotated key works at once, but no
    more often than every ``MIN_INTERVAL_S``: made-up ids cost the issuer nothing.
    While the issuer does not answer, the last keys are used for a day.

    Args:
        fetch: reads the issuer's key set.
        clock: seconds, monotonic.
        changed: told the ids of the keys that stayed as they were, whenever the
            keys were read.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._changed = changed
        self._keys: Keys = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether there are keys to check a token with."""
        return bool(self._keys) and self._clock() - self._read_at < MAX_STALE_S

    @property
    def fresh(self) -> bool:
        """Whether the keys were read within the last hour."""
        return self._clock() - self._read_at < MAX_AGE_S

    async def key(self, key_id: str) -> PyJWK:
        """The key with this id.

        Raises:
            UnauthorizedError: the issuer has no such key.
            KeysUnavailableError: the issuer's keys can't be read.
        """
        known = self.loaded and key_id in self._keys
        # While somebody asks an issuer that does not answer, known keys still do.
        if not known or not (self.fresh or self._lock.locked()):
            await self.refresh()
        if not self.loaded:
            raise KeysUnavailableError("the issuer's keys have not been read")
        key = self._keys.get(key_id)
        if key is None:
            raise UnauthorizedError("the token is signed by an unknown key")
        return key

    async def refresh(self) -> None:
        """Read the keys again, unless that was just tried; failures are logged."""
        async with self._lock:
            now = self._clock()
            if now - self._tried_at < MIN_INTERVAL_S:
                return
            self._tried_at = now
            try:
                keys = parse_keys(await self._fetch())
            except KeysUnavailableError as error:
                log.warning(
                    "the issuer's keys can't be read", extra={"error": str(error)}
                )
                return
            before, self._keys = self._keys, keys
            self._read_at = now
            self._changed([k for k in keys if k in before and _same(before, keys, k)])


def _same(before: Keys, after: Keys, key_id: str) -> bool:
    """Whether an id stands for the key it stood for."""
    old, new = before[key_id].key, after[key_id].key
    return bool(old.public_numbers() == new.public_numbers())
