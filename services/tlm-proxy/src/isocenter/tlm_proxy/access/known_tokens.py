"""Tokens that were checked and are still good: a bounded memory. Pure.

Held by a digest of the token, so that a dump of memory, or a bug, gives no token
away. A token is forgotten when it expires, when it has to be checked again, when
the key that signed it is withdrawn, and when others were used more recently.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import NamedTuple

from isocenter.tlm_proxy.access.caller import Caller

MOST = 4096
"""Tokens remembered. One takes some 3 KB with its claims."""

_SCHEME = b"Bearer "


class _Known(NamedTuple):
    caller: Caller
    key_id: str
    until: float


class KnownTokens:
    """Callers by their token.

    Args:
        clock: seconds since the epoch, as a token's `exp` counts.
        most: tokens remembered.
    """

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, authorization: bytes) -> Caller | None:
        """The caller, by an Authorization header's value as it was sent.

        Another spelling of the scheme, or more spaces, is another value and is
        not known: so one token can't take several places.
        """
        digest = hashlib.sha256(authorization).digest()
        known = self._known.get(digest)
        if known is None:
            return None
        if known.until <= self._clock():
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return known.caller

    def remember(self, token: str, caller: Caller, key_id: str, until: float) -> None:
        """Know the token's caller.

        Args:
            token: as it stands in the header, after the scheme.
            caller: whose it is.
            key_id: which of the issuer's keys signed it.
            until: seconds since the epoch.
        """
        if until <= self._clock():
            return
        digest = hashlib.sha256(_SCHEME + token.encode("latin-1")).digest()
        self._known[digest] = _Known(caller, key_id, until)
        self._known.move_to_end(digest)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def keep_keys(self, key_ids: Collection[str]) -> None:
        """Forget the tokens that others than these keys signed."""
        for digest in [d for d, k in self._known.items() if k.key_id not in key_ids]:
            del self._known[digest]
