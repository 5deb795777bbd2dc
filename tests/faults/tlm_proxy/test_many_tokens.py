"""A day's tokens in a minute: many distinct ones, expired, forged, and the issuer's
keys rotated: what is remembered stays bounded, and who may read is always right.

``SOAK=n`` takes n thousand tokens.
"""

import asyncio
import gc
import os
import time
import tracemalloc

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from faults.tlm_proxy.progress import tell
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.access.issuer import MAX_AGE_S, MIN_INTERVAL_S, KeySet
from isocenter.tlm_proxy.access.known_tokens import MOST, KnownTokens
from isocenter.tlm_proxy.access.rights import Rights
from isocenter.tlm_proxy.access.tokens import Demands, TokenAccess
from isocenter.tlm_proxy.errors import UnauthorizedError
from isocenter.tlm_proxy.metrics import Metrics

SOAK = int(os.environ.get("SOAK", "0"))
TOKENS = SOAK * 1_000 or 900
KNOWN = MOST if SOAK else 400
"""Tokens that are remembered: in the short version fewer than by default."""
ISSUER, CLIENT = "https://issuer.example/pool", "viewer"
_ROTATE = TOKENS // 6
"""Tokens after which the issuer has a new key; it shows the last two."""
_TOKEN_BYTES = 8 * 1024
"""Memory that a remembered token may take, at most."""
_LIFE_S = 600


class Issuer:
    """Signs, and shows its keys as JwksReader would read them."""

    def __init__(self):
        self.keys = {}
        self.reads = 0

    def rotate(self):
        self.keys[f"key-{self.reads}-{len(self.keys)}-{time.monotonic_ns()}"] = (
            ec.generate_private_key(ec.SECP256R1())
        )
        while len(self.keys) > 2:
            del self.keys[next(iter(self.keys))]

    def token(self, number, now, **changes):
        key_id = changes.pop("key_id", list(self.keys)[-1])
        claims = {
            "sub": f"user-{number}",
            "iss": ISSUER,
            "client_id": CLIENT,
            "token_use": "access",
            "scope": "openid email",
            "jti": f"{number:032d}",
            "iat": int(now),
            "exp": int(now) + _LIFE_S,
            **changes,
        }
        return jwt.encode(claims, self.keys[key_id], "ES256", {"kid": key_id})

    def open(self):
        pass

    async def __call__(self):
        self.reads += 1
        algorithm = jwt.algorithms.ECAlgorithm
        return {
            "keys": [
                algorithm.to_jwk(key.public_key(), as_dict=True)
                | {"kid": key_id, "use": "sig", "alg": "ES256"}
                for key_id, key in self.keys.items()
            ]
        }


class Clock:
    """Seconds that a test moves on by itself."""

    def __init__(self, start):
        self.now = start

    def __call__(self):
        return self.now


async def refused(access, token):
    with pytest.raises(UnauthorizedError):
        await access.check([f"Bearer {token}"])
    assert access.known(f"Bearer {token}".encode()) is None


@pytest.mark.timeout(120 + TOKENS // 20)
def test_many_tokens():
    issuer = Issuer()
    issuer.rotate()
    # PyJWT reads the time itself: what it must find expired, expired long ago.
    wall, monotonic = Clock(time.time()), Clock(1e6)
    metrics = Metrics(CollectorRegistry())
    access = TokenAccess(
        issuer,
        Demands(ISSUER, client_ids=frozenset({CLIENT}), token_use=True),
        Rights(None, None, {}),
        recheck_s=300,
        metrics=metrics,
        clock=wall,
    )
    access._known = KnownTokens(wall, KNOWN)
    access._keys = KeySet(issuer, monotonic, changed=access._known.keep_keys)

    async def scene():
        first_key, rotated, used = next(iter(issuer.keys)), [], []
        old = issuer.token(-1, wall.now)
        await access.check([f"Bearer {old}"])
        for number in range(TOKENS):
            token = issuer.token(number, wall.now)
            header = f"Bearer {token}".encode()
            assert access.known(header) is None
            caller = await access.check([header.decode()])
            assert caller.subject == f"user-{number}"
            assert access.known(header) is caller
            if number % 10 == 0:
                await refused(access, issuer.token(number, wall.now - 2 * _LIFE_S))
                await refused(access, token[:-8] + "AAAAAAAA")
                await refused(access, issuer.token(number, wall.now, iss="other"))
            if number % _ROTATE == _ROTATE - 1:
                issuer.rotate()
                monotonic.now += MIN_INTERVAL_S + 1
                rotated.append(token)
            if number % _ROTATE == 0:
                gc.collect()
                used.append(tracemalloc.get_traced_memory()[0])
            assert len(access._known) <= KNOWN
        # Both keys that signed it first are gone.
        assert first_key not in issuer.keys
        monotonic.now += MAX_AGE_S + 1
        await access.prepare()
        await refused(access, old)
        for token in rotated[:-2]:
            await refused(access, token)
        # All that is known ends with its time, though nobody asks for it again.
        wall.now += 2 * _LIFE_S
        assert access.known(header) is None
        return used

    tracemalloc.start()
    try:
        # What is imported by the first tokens is no growth.
        _, *later = asyncio.run(scene())
        grown = max(later) - later[0]
    finally:
        tracemalloc.stop()
    tell(f"{TOKENS} tokens, {grown >> 10} KiB at most, keys read {issuer.reads} times")
    assert grown < KNOWN * _TOKEN_BYTES
    # Once a rotation and an hour, whatever is thrown at it.
    assert issuer.reads <= TOKENS // _ROTATE + 3
    value = metrics.registry.get_sample_value("isocenter_tlm_proxy_tokens_known")
    assert 0 < value <= KNOWN
