"""Who asks, and what they may read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from isocenter.tlm_proxy.errors import ForbiddenError


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as the proxy knows. Its repr holds nothing of a token.

    Attributes:
        subject: the token's `sub`; "" without authentication.
        claims: all of the token's claims; never for a log or an error.
        client: key by which callers take turns, "" without authentication. A
            digest, so that it may be seen.
        datastores: ids of the data stores they may read; None for every one.
    """

    subject: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    client: str = ""
    datastores: frozenset[str] | None = field(default=None, repr=False)

    def require(self, datastore_id: str) -> None:
        """Nothing, if the data store may be read.

        Raises:
            ForbiddenError: it may not; the text names the data store alone.
        """
        if self.datastores is not None and datastore_id not in self.datastores:
            raise ForbiddenError(f"data store {datastore_id} is not open to you")


class Access(Protocol):
    """Decides who may read."""

    async def open(self) -> None:
        """Open what checks need; call inside the serving loop."""

    async def aclose(self) -> None:
        """Close it."""

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a token that was checked before and is still good.

        One dictionary look-up: ask this first, and ``check`` when it is None.

        Args:
            authorization: the only Authorization header's value; None for no
                header, or for several.
        """

    async def check(self, authorization: Sequence[str]) -> Caller:
        """The caller, by the values of all Authorization headers.

        Raises:
            UnauthorizedError: no token, or not a good one.
            ForbiddenError: a good token without the scope that is asked for.
            KeysUnavailableError: the issuer's keys can't be read.
        """

    def problem(self) -> str | None:
        """Why no token can be checked now; None if one can."""

    async def prepare(self) -> None:
        """Have what checks need ready beforehand; failures show in problem."""
