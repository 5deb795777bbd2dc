"""How the grace time of a shutdown is shared out. Pure.

The spool is durable, is emptied while associations run, and what is left of it is taken
up at the next start. An association that is cut off has to be begun again by its peer.
So associations get all but a short reserve, in which the last ones are ended.
"""

from dataclasses import dataclass
from typing import Self

RESERVE_SHARE = 0.25
"""Of the grace time, for what is done once associations have had theirs."""
LONGEST_RESERVE_S = 30.0
LAST_SHARE = 1 / 3
"""Of the reserve: for instances that are under way, and as much for what is aborted to
be gone. The rest of it is the spool's."""


@dataclass(frozen=True)
class Shares:
    """Parts of the grace time, in seconds.

    Attributes:
        associations_s: for peers to release by themselves.
        last_s: for the instances that are under way after that, and as many for
            aborted associations to be gone.
    """

    associations_s: float
    last_s: float

    @classmethod
    def of(cls, grace_s: float) -> Self:
        """The parts of a grace time, which is 0 or more."""
        reserve = min(LONGEST_RESERVE_S, RESERVE_SHARE * grace_s)
        return cls(associations_s=grace_s - reserve, last_s=LAST_SHARE * reserve)
