"""How many calls a second: a token bucket that slows down when throttled. Pure.

The slowing down is AIMD, as in TCP and, with another curve, in the adaptive mode
of AWS's SDKs: halve when throttled, then add a little every second. So several
pods that share an account's quota find their shares by themselves.
"""

from collections.abc import Callable

_RECOVERY = 0.05
"""Part of the full rate that comes back in a second; so about as much is left of it
however long every call is throttled."""
_SLOWEST = 0.5
"""Calls a second that are always allowed."""
_ROUNDING = 1e-6
_ONE_EVENT_S = 1.0
"""Calls throttled within this time were one burst: they halve the rate once."""


class TokenBucket:
    """Tokens for calls, made at ``rate`` a second and saved up for one second.

    Args:
        full_rate: calls a second when nothing is throttled.
        clock: seconds, monotonic.
    """

    def __init__(self, full_rate: float, clock: Callable[[], float]) -> None:
        self._full_rate = full_rate
        self._clock = clock
        self._rate = full_rate
        self._tokens = max(1.0, full_rate)
        self._filled_at = clock()
        self._slowed_at = float("-inf")

    @property
    def rate(self) -> float:
        """Calls a second that are allowed now."""
        return self._rate

    def take(self) -> float:
        """0 if a token was taken, else the seconds until there will be one."""
        self._fill()
        # A wait so short that the clock does not show it would be waited for ever.
        if self._tokens >= 1.0 - _ROUNDING:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def give_back(self) -> None:
        """A token that was taken was not needed."""
        self._tokens = min(max(1.0, self._rate), self._tokens + 1.0)

    def slow_down(self) -> None:
        """A call was throttled: halve the rate, spend what was saved up."""
        self._fill()
        now = self._clock()
        if now - self._slowed_at < _ONE_EVENT_S:
            return
        self._slowed_at = now
        self._rate = max(min(self._full_rate, _SLOWEST), self._rate / 2)
        self._tokens = min(self._tokens, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        passed, self._filled_at = now - self._filled_at, now
        self._tokens = min(max(1.0, self._rate), self._tokens + passed * self._rate)
        if self._rate < self._full_rate:
            recovered = self._rate + passed * self._full_rate * _RECOVERY
            self._rate = min(self._full_rate, recovered)
