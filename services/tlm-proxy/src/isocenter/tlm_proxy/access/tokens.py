"""Who may read: access tokens as JWT, in the Authorization header alone.

A token is never taken from a URL or a cookie, and neither a token nor a claim is
ever logged. RFC 6750 (bearer tokens), RFC 7519 (JWT).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from isocenter.tlm_proxy.access.issuer import ALGORITHMS, KeySet
from isocenter.tlm_proxy.errors import UnauthorizedError

LEEWAY_S = 10
"""Seconds by which clocks may differ."""
_MAX_TOKEN = 16 * 1024

_REASONS: dict[type[PyJWTError], str] = {
    ExpiredSignatureError: "the token has expired",
    ImmatureSignatureError: "the token is not valid yet",
    InvalidIssuerError: "the token is of another issuer",
    InvalidAudienceError: "the token is for another audience",
    InvalidSignatureError: "the token's signature is wrong",
    MissingRequiredClaimError: "the token lacks a claim it must have",
}


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as the proxy knows.

    Attributes:
        subject: the token's `sub`; "" without authentication.
        claims: all of the token's claims.
    """

    subject: str
    claims: dict[str, Any]


class Access(Protocol):
    """Decides who may read."""

    async def check(self, authorization: Sequence[str]) -> Caller:
        """The caller, by the values of all Authorization headers.

        Raises:
            UnauthorizedError: no token, or not a good one.
            KeysUnavailableError: the issuer's keys can't be read.
        """

    def problem(self) -> str | None:
        """Why no token can be checked now; None if one can."""

    async def prepare(self) -> None:
        """Have what checks need ready beforehand; failures show in problem."""


class OpenAccess:
    """auth_mode none: whoever reaches the port may read."""

    async def check(self, authorization: Sequence[str]) -> Caller:  # noqa: ARG002 - the protocol's signature
        """Everybody, whatever they send."""
        return Caller("", {})

    def problem(self) -> str | None:
        """Nothing can be wrong."""
        return None

    async def prepare(self) -> None:
        """Nothing is needed."""


class TokenAccess:
    """Access tokens of one issuer.

    Args:
        keys: the issuer's keys.
        issuer: the `iss` that tokens must carry.
        audience: the `aud` they must carry; None for tokens that have none.
        claims: further claims and the values they must have. Cognito's access
            tokens carry `client_id` and `token_use`, and no `aud`.
    """

    def __init__(
        self, keys: KeySet, issuer: str, audience: str | None, claims: dict[str, str]
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._claims = claims

    async def check(self, authorization: Sequence[str]) -> Caller:
        """The token's subject; see Access."""
        token = bearer(authorization)
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError as error:
            raise UnauthorizedError("the token is not a JWT") from error
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise UnauthorizedError("the token is not signed by RS256 or ES256")
        key = await self._keys.key(key_id)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss"],
                    "verify_aud": self._audience is not None,
                },
            )
        except PyJWTError as error:
            raise UnauthorizedError(_reason(error)) from error
        for name, value in self._claims.items():
            if claims.get(name) != value:
                raise UnauthorizedError(f"the token's {name} is not accepted")
        return Caller(str(claims.get("sub", "")), claims)

    def problem(self) -> str | None:
        """Whether the issuer's keys are missing."""
        return None if self._keys.loaded else "the token issuer's keys are not read"

    async def prepare(self) -> None:
        """Read the issuer's keys, if they are not fresh."""
        if not self._keys.fresh:
            await self._keys.refresh()


def bearer(authorization: Sequence[str]) -> str:
    """The token of the Authorization headers.

    Raises:
        UnauthorizedError: none, several, or of another scheme.
    """
    if not authorization:
        raise UnauthorizedError(
            "send an access token as Authorization: Bearer", code=""
        )
    scheme, _, token = authorization[0].strip().partition(" ")
    token = token.strip()
    if len(authorization) > 1 or scheme.lower() != "bearer" or not token:
        raise UnauthorizedError(
            "send one Authorization header, with Bearer and a token",
            code="invalid_request",
        )
    if len(token) > _MAX_TOKEN:
        raise UnauthorizedError(f"the token is over {_MAX_TOKEN} characters")
    return token


def _reason(error: PyJWTError) -> str:
    """Why a token is refused, in words that hold nothing of it."""
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text
    return "the token is not valid"
