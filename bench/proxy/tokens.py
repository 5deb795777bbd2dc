"""An issuer: its keys, its key set, and access tokens."""

import itertools
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "bench"


class Issuer:
    """Keys made for one run: RS256 as issuers use, ES256 where many are signed."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {
            "RS256": rsa.generate_private_key(65537, 2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
        }
        self._foreign = ec.generate_private_key(ec.SECP256R1())
        self._number = itertools.count()

    def jwks(self) -> bytes:
        """The JWK Set (RFC 7517 section 5)."""
        rsa_jwk = RSAAlgorithm.to_jwk(self._keys["RS256"].public_key(), as_dict=True)
        ec_jwk = ECAlgorithm.to_jwk(self._keys["ES256"].public_key(), as_dict=True)
        named = {"RS256": rsa_jwk, "ES256": ec_jwk}
        keys = [
            {**jwk, "kid": name, "alg": name, "use": "sig"}
            for name, jwk in named.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def token(
        self,
        algorithm: str = "RS256",
        *,
        lifetime_s: float = 3600,
        forged: bool = False,
    ) -> str:
        """An access token that differs from every other; forged: by another's key."""
        now = int(time.time())
        number = next(self._number)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"00000000-0000-4000-8000-{number:012x}",
            "jti": f"{number:032x}",
            "scope": "openid profile imaging/read",
            "iat": now,
            "exp": now + int(lifetime_s),
        }
        key = self._foreign if forged else self._keys[algorithm]
        return jwt.encode(claims, key, algorithm, headers={"kid": algorithm})
