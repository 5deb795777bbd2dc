"""Holds all upload threads back while S3 takes nothing from any of them. Pure."""

from dataclasses import dataclass

_FIRST_S = 0.5
_LONGEST_S = 30.0


@dataclass
class Gate:
    """Closed after a run of failures with no success between them.

    Single failures are the tasks' own business: each is put back with a delay. But an
    S3 that is away would have every task of a long backlog tried, failed and logged,
    minute by minute.

    Attributes:
        patience: failures in a row that do not close it yet.
    """

    patience: int
    failures: int = 0
    open_at: float = 0.0

    def succeeded(self) -> bool:
        """An object was put; answers whether the gate was closed before."""
        was_closed = self.failures > self.patience
        self.failures, self.open_at = 0, 0.0
        return was_closed

    def failed(self, now: float) -> float:
        """S3 did not take an object; answers for how long the gate is closed."""
        self.failures += 1
        if self.failures <= self.patience:
            return 0.0
        rounds = (self.failures - self.patience - 1) // max(1, self.patience)
        delay = float(min(_LONGEST_S, _FIRST_S * 2 ** min(rounds, 16)))
        self.open_at = max(self.open_at, now + delay)
        return delay

    def wait_s(self, now: float) -> float:
        """How long until the next try."""
        return max(0.0, self.open_at - now)
