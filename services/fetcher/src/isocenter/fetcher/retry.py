"""Calls that are worth making again."""

import random
from collections.abc import Callable
from typing import TypeVar

from isocenter.core.errors import BusyError, IsocenterError, UnavailableError

T = TypeVar("T")

TRANSIENT: tuple[type[IsocenterError], ...] = (BusyError, UnavailableError)
"""Failures that pass by themselves."""
_LONGEST_PAUSE = 10.0


def retrying(
    call: Callable[[], T],
    *,
    attempts: int,
    again: tuple[type[IsocenterError], ...] = TRANSIENT,
    pause: float,
    rest: Callable[[float], None],
    on_retry: Callable[[int, IsocenterError], None],
) -> T:
    """Make a call up to ``attempts`` times.

    Args:
        call: what to do.
        attempts: calls at most; the last one's failure is raised.
        again: failures after which to call once more.
        pause: seconds before the second call; doubles each time, at most 10.
        rest: waits; may raise to end it all.
        on_retry: told of each failure that is not final, with the attempt's number.
    """
    for attempt in range(1, attempts):
        try:
            return call()
        except again as error:
            on_retry(attempt, error)
            # Callers that were throttled together must not return together.
            rest(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, keeps no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
    return call()
