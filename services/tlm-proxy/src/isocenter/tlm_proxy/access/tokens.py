"""Who may read: access tokens as JWT, in the Authorization header alone.

A token is never taken from a URL or a cookie, and neither a token nor a claim is
ever logged. RFC 6750 (bearer tokens), RFC 7519 (JWT).
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from isocenter.tlm_proxy.access.caller import Access, Caller
from isocenter.tlm_proxy.access.issuer import (
    ALGORITHMS,
    JwksReader,
    KeySet,
    issuer_of,
)
from isocenter.tlm_proxy.access.known_tokens import KnownTokens
from isocenter.tlm_proxy.access.rights import Rights, has_scope
from isocenter.tlm_proxy.errors import ForbiddenError, UnauthorizedError
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

log = logging.getLogger(__name__)

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


class OpenAccess:
    """auth_mode none: whoever reaches the port may read what is served."""

    def __init__(self, served: frozenset[str] | None = None) -> None:
        self._everybody = Caller("", {}, datastores=served)

    async def open(self) -> None:
        """Nothing is needed."""

    async def aclose(self) -> None:
        """Nothing is open."""

    def known(self, authorization: bytes | None) -> Caller | None:  # noqa: ARG002 - the protocol's signature
        """Everybody, whatever they send."""
        return self._everybody

    async def check(self, authorization: Sequence[str]) -> Caller:  # noqa: ARG002 - the protocol's signature
        """Everybody, whatever they send."""
        return self._everybody

    def problem(self) -> str | None:
        """Nothing can be wrong."""
        return None

    async def prepare(self) -> None:
        """Nothing is needed."""


@dataclass(frozen=True)
class Demands:
    """What a token must say.

    Attributes:
        issuer: its `iss`.
        audience: its `aud`; None for tokens that have none (Cognito's).
        client_ids: its `client_id` (RFC 9068) or, where there is none, its `azp`
            (OpenID Connect); empty for any.
        token_use: whether it must have a `token_use`, as Cognito's tokens do. If
            it has one, it must be "access".
        scope: one of its scopes; None for any.
    """

    issuer: str
    audience: str | None = None
    client_ids: frozenset[str] = frozenset()
    token_use: bool = False
    scope: str | None = None

    def check(self, claims: Mapping[str, Any]) -> None:
        """Nothing, if claims that PyJWT does not look at are as they must be.

        Raises:
            UnauthorizedError: one isn't; the text names it, and not its value.
            ForbiddenError: the scope is not there.
        """
        use = claims.get("token_use")
        if use != "access" and (use is not None or self.token_use):
            raise UnauthorizedError("the token's token_use is not accepted")
        client_id = claims.get("client_id", claims.get("azp"))
        if self.client_ids and str(client_id) not in self.client_ids:
            raise UnauthorizedError("the token's client_id is not accepted")
        if self.scope is not None and not has_scope(claims, self.scope):
            raise ForbiddenError(
                f"the token needs the scope {self.scope}", code="insufficient_scope"
            )


class TokenAccess:
    """Access tokens of one issuer.

    Args:
        reader: reads the issuer's keys.
        demands: what tokens must say.
        rights: which data stores their bearers may read.
        recheck_s: seconds after which a token that was checked is checked again.
        metrics: where the tokens that are remembered are counted.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        reader: JwksReader,
        demands: Demands,
        rights: Rights,
        *,
        recheck_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._demands = demands
        self._rights = rights
        self._recheck_s = recheck_s
        self._clock = clock
        self._known = KnownTokens(clock)
        self._keys = KeySet(reader, changed=self._known.keep_keys)
        self._counted = metrics.tokens_known

    async def open(self) -> None:
        """Open the session to the issuer."""
        self._reader.open()

    async def aclose(self) -> None:
        """Close it."""
        await self._reader.aclose()

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a token that was checked before; see Access."""
        return None if authorization is None else self._known.get(authorization)

    async def check(self, authorization: Sequence[str]) -> Caller:
        """The caller, after a full check; see Access."""
        token = bearer(authorization)
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError as error:
            raise UnauthorizedError("the token is not a JWT") from error
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise UnauthorizedError("the token is not signed by RS256 or ES256")
        if "crit" in header:
            # RFC 7515 section 4.1.11: whoever does not know it, refuses.
            raise UnauthorizedError("the token's header asks for an extension")
        key = await self._keys.key(key_id)
        claims = self._verified(token, key)
        self._demands.check(claims)
        subject = str(claims.get("sub") or claims.get("client_id") or "")
        caller = Caller(
            subject,
            claims,
            client=hashlib.sha256(subject.encode()).hexdigest()[:16],
            datastores=self._rights.of(claims),
        )
        until = min(float(claims["exp"]), self._clock() + self._recheck_s)
        self._known.remember(token, caller, key_id, until)
        self._counted.set(len(self._known))
        return caller

    def problem(self) -> str | None:
        """Whether the issuer's keys are missing."""
        return None if self._keys.loaded else "the token issuer's keys are not read"

    async def prepare(self) -> None:
        """Read the issuer's keys, if they are not fresh."""
        if not self._keys.fresh:
            await self._keys.refresh()

    def _verified(self, token: str, key: PyJWK) -> dict[str, Any]:
        """The claims, once signature, iss, aud, exp, nbf and iat are good."""
        try:
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._demands.issuer,
                audience=self._demands.audience,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss"],
                    "verify_aud": self._demands.audience is not None,
                },
            )
        except PyJWTError as error:
            raise UnauthorizedError(_reason(error)) from error


def build_access(settings: Settings, metrics: Metrics) -> Access:
    """Who may read, by the settings; not open yet.

    Raises:
        ConfigurationError: the issuer's region can't be worked out.
    """
    served = frozenset(settings.datastores) or None
    issuer = issuer_of(settings)
    if issuer is None:
        log.warning("auth_mode is none: whoever reaches this port reads frames")
        return OpenAccess(served)
    if settings.auth_mode == "cognito":
        demands = Demands(
            issuer.name,
            client_ids=_listed(settings.cognito_client_id),
            token_use=True,
            scope=settings.required_scope,
        )
    else:
        demands = Demands(
            issuer.name,
            audience=settings.oidc_audience,
            client_ids=frozenset(settings.oidc_client_ids),
            scope=settings.required_scope,
        )
    return TokenAccess(
        JwksReader(issuer),
        demands,
        Rights(served, settings.datastores_claim, settings.datastore_groups),
        recheck_s=settings.token_recheck_s,
        metrics=metrics,
    )


def _listed(written: str | None) -> frozenset[str]:
    """The names of a list with commas."""
    return frozenset(
        each.strip() for each in (written or "").split(",") if each.strip()
    )


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
