"""How many connections and associations there may be, and who has to go. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isocenter.storescp.association.refusal import Refused, Rejection
from isocenter.storescp.front.pending import Pending

MOST_HELD = 32 * 1024 * 1024
"""Bytes of requests that have not come to their end; 1,000 real ones at once."""


@dataclass(frozen=True)
class Limits:
    """What the door lets through.

    Attributes:
        pending: connections without an association, in all.
        pending_per_peer: of one address.
        associations: established ones, in all workers.
        associations_per_peer: of one AE title at one address, in all workers.
        artim_s: seconds from a connection to the last byte of its A-ASSOCIATE-RQ
            (ARTIM timer, PS3.8 9.1.4), and TLS handshake.
    """

    pending: int = 2048
    pending_per_peer: int = 1536
    associations: int = 32
    associations_per_peer: int = 16
    artim_s: float = 15.0

    def refused(self, established: int, of_peer: int) -> Refused | None:
        """Whether one more association would be too many."""
        if established >= self.associations:
            return Refused(Rejection.LOCAL_LIMIT, "no association is left")
        if of_peer >= self.associations_per_peer:
            return Refused(Rejection.LOCAL_LIMIT, "no association is left to this peer")
        return None


class Queue:
    """Connections without an association, by age and by peer.

    When there are too many, the longest waiting one of the peer that has most must
    go: whoever is in earnest sends its request at once, so silent peers only push out
    each other. What has come of requests is memory, so it has a limit of its own.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: dict[int, Pending] = {}
        self._of: dict[str, dict[int, None]] = {}
        self._held: dict[int, int] = {}
        self._held_by_all = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._all))

    def add(self, fd: int, pending: Pending) -> None:
        """Let one in, after ``surplus`` made room."""
        self._all[fd] = pending
        self._of.setdefault(pending.address, {})[fd] = None

    def get(self, fd: int) -> Pending | None:
        """The connection of a descriptor."""
        return self._all.get(fd)

    def remove(self, fd: int) -> None:
        """Forget one that has gone, or has become an association."""
        pending = self._all.pop(fd)
        self._held_by_all -= self._held.pop(fd, 0)
        theirs = self._of[pending.address]
        del theirs[fd]
        if not theirs:
            del self._of[pending.address]

    def hold(self, fd: int, count: int) -> int | None:
        """Note how many bytes of a request came; answers which must go, if any."""
        self._held_by_all += count - self._held.get(fd, 0)
        self._held[fd] = count
        if self._held_by_all <= MOST_HELD:
            return None
        return max(self._held, key=self._held.__getitem__)

    def surplus(self, address: str) -> int | None:
        """Which must go before ``address`` gets one more; None if there is room."""
        theirs = self._of.get(address)
        if theirs and len(theirs) >= self._limits.pending_per_peer:
            return next(iter(theirs))
        if len(self._all) >= self._limits.pending:
            return self.oldest_of_busiest()
        return None

    def oldest_of_busiest(self) -> int | None:
        """The longest waiting connection of the peer that has most of them."""
        if not self._of:
            return None
        busiest = max(self._of, key=lambda address: len(self._of[address]))
        return next(iter(self._of[busiest]))

    def due(self, now: float) -> Iterable[tuple[int, Pending]]:
        """Those whose time is up."""
        return [(fd, one) for fd, one in self._all.items() if one.deadline <= now]
