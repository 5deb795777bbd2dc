"""An identity provider shaped like a Cognito user pool, on loopback.

Discovery and keys below the issuer (``<base>/<pool>/.well-known/…``); the hosted
pages at the root: ``/oauth2/authorize`` (nobody has to log in: it redirects at once,
RFC 6749 section 4.1), ``/oauth2/token`` (PKCE S256, RFC 7636; refresh tokens),
``/oauth2/revoke`` (RFC 7009), ``/oauth2/userInfo``, ``/logout``. Access tokens carry
``client_id``, ``token_use`` and ``cognito:groups``, and no ``aud``.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

POOL = "eu-west-1_Isocenter"
CLIENT = "isocenterviewer"
USER = "8d3b1f0e-reader"
_KEY_ID = "browser-tests"


@dataclass
class _Grant:
    """What a code or a refresh token stands for."""

    client_id: str
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str | None = None
    scope: str = ""
    auth_time: int = 0


@dataclass
class IdentityProvider:
    """Its state; tests set ``lifetime_s`` and ``groups`` and read the rest.

    Attributes:
        base: scheme, host and port.
        lifetime_s: seconds until a token issued from now on expires.
        groups: ``cognito:groups`` of tokens issued from now on.
        authorizations: how often somebody was sent through /oauth2/authorize.
        access_tokens: every access token issued, the oldest first.
        refreshes: how many of them for a refresh token.
        revoked: tokens that were given to /oauth2/revoke.
        logged_out_to: the ``logout_uri`` of each /logout.
        refused: what was wrong with each refused request.
    """

    base: str
    lifetime_s: int = 3600
    groups: tuple[str, ...] = ()
    authorizations: int = 0
    refreshes: int = 0
    access_tokens: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    logged_out_to: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _codes: dict[str, _Grant] = field(default_factory=dict, repr=False)
    _refresh_tokens: dict[str, _Grant] = field(default_factory=dict, repr=False)
    _key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False
    )

    @property
    def issuer(self) -> str:
        """The ``iss`` of the tokens."""
        return f"{self.base}/{POOL}"

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0 section 3, the members Cognito has."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
            "authorization_endpoint": f"{self.base}/oauth2/authorize",
            "token_endpoint": f"{self.base}/oauth2/token",
            "revocation_endpoint": f"{self.base}/oauth2/revoke",
            "userinfo_endpoint": f"{self.base}/oauth2/userInfo",
            "end_session_endpoint": f"{self.base}/logout",
            "response_types_supported": ["code", "token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "phone", "profile"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
            ],
        }

    def keys(self) -> dict[str, Any]:
        """The JWK Set (RFC 7517 section 5)."""
        algorithm = jwt.algorithms.RSAAlgorithm
        jwk = algorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**jwk, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes on; ValueError says what is wrong."""
        _expect(query, response_type="code", client_id=CLIENT)
        _expect(query, code_challenge_method="S256")
        self.authorizations += 1
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Grant(
            query["client_id"],
            query["redirect_uri"],
            query["code_challenge"],
            query.get("nonce"),
            query.get("scope", ""),
            int(time.time()),
        )
        answer = {"code": code, "state": query.get("state", "")}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        """Tokens for a code or a refresh token; ValueError says what is wrong."""
        if form.get("grant_type") == "refresh_token":
            grant = self._refresh_tokens.get(form.get("refresh_token", ""))
            if grant is None or form["refresh_token"] in self.revoked:
                raise ValueError("invalid_grant: unknown refresh token")
            _expect(form, client_id=grant.client_id)
            self.refreshes += 1
            return self._tokens(grant)
        _expect(form, grant_type="authorization_code")
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None:
            raise ValueError("invalid_grant: unknown code")
        _expect(form, client_id=grant.client_id, redirect_uri=grant.redirect_uri)
        if _s256(form.get("code_verifier", "")) != grant.challenge:
            raise ValueError("invalid_grant: the code verifier is wrong")
        refresh_token = secrets.token_urlsafe(32)
        self._refresh_tokens[refresh_token] = grant
        return {**self._tokens(grant), "refresh_token": refresh_token}

    def access_token(self, **changed: Any) -> str:
        """A signed access token, with some of its claims changed."""
        now = int(time.time())
        claims = {
            "sub": USER,
            "iss": self.issuer,
            "client_id": CLIENT,
            "token_use": "access",
            "scope": "openid email profile",
            "cognito:groups": list(self.groups),
            "username": USER,
            "auth_time": now,
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": secrets.token_hex(8),
        }
        token = self._sign({**claims, **changed})
        self.access_tokens.append(token)
        return token

    def _tokens(self, grant: _Grant) -> dict[str, Any]:
        now = int(time.time())
        identity = {
            "sub": USER,
            "iss": self.issuer,
            "aud": grant.client_id,
            "token_use": "id",
            # Of the login, not of a renewal (OpenID Connect Core 1.0 section 12.2).
            "auth_time": grant.auth_time,
            "iat": now,
            "exp": now + self.lifetime_s,
            "cognito:username": USER,
            "email": "reader@example.org",
        }
        if grant.nonce:
            identity["nonce"] = grant.nonce
        return {
            "access_token": self.access_token(
                scope=grant.scope, auth_time=grant.auth_time
            ),
            "id_token": self._sign(identity),
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, "RS256", headers={"kid": _KEY_ID})


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _expect(given: dict[str, str], **values: str) -> None:
    for name, value in values.items():
        if given.get(name) != value:
            raise ValueError(f"invalid_request: {name} is {given.get(name)!r}")


class _Handler(BaseHTTPRequestHandler):
    """The provider over HTTP. Pages of any origin may read it, as at Cognito."""

    protocol_version = "HTTP/1.1"
    provider: IdentityProvider

    def do_GET(self) -> None:
        """Discovery, keys and the hosted pages."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        well_known = f"/{POOL}/.well-known"
        if url.path == f"{well_known}/openid-configuration":
            self._json(200, self.provider.discovery())
        elif url.path == f"{well_known}/jwks.json":
            self._json(200, self.provider.keys())
        elif url.path == "/oauth2/authorize":
            try:
                self._redirect(self.provider.authorize(query))
            except (ValueError, KeyError) as error:
                self._refuse(error)
        elif url.path == "/oauth2/userInfo":
            self._json(200, {"sub": USER, "email": "reader@example.org"})
        elif url.path == "/logout":
            target = query.get("logout_uri", "")
            self.provider.logged_out_to.append(target)
            if target:
                self._redirect(target)
            else:
                self._refuse(ValueError("invalid_request: no logout_uri"))
        else:
            self._json(404, {"error": "not found"})

    def do_POST(self) -> None:
        """Tokens, and their end."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.path == "/oauth2/token":
            try:
                self._json(200, self.provider.token(form))
            except ValueError as error:
                self._refuse(error)
        elif self.path == "/oauth2/revoke":
            self.provider.revoked.append(form.get("token", ""))
            self._json(200, {})
        else:
            self._json(404, {"error": "not found"})

    def do_OPTIONS(self) -> None:
        """Every preflight is allowed."""
        self.send_response(204)
        self.send_header("Access-Control-Allow-Methods", "GET, POST")
        self.send_header("Access-Control-Allow-Headers", "*, Authorization")
        self._end(b"")

    def _refuse(self, error: Exception) -> None:
        self.provider.refused.append(str(error))
        code, _, text = str(error).partition(": ")
        self._json(400, {"error": code, "error_description": text})

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self._end(b"")

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self._end(json.dumps(document).encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: it would print codes."""


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Serve one until the block ends."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    provider = IdentityProvider(f"http://localhost:{server.server_port}")
    handler.provider = provider
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
