"""Whether a service is asked at all: a circuit breaker. Pure.

Closed, calls are made. After a run of failures that only the service as a whole
explains it opens: no call is made, so clients hear at once, and a service that is
coming back isn't run over. After a pause one call probes (half-open); if it
succeeds the circuit closes, if not it opens for twice as long.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

FAILURES = 10
"""Failures in a row that open the circuit, ..."""
SUBJECTS = 3
"""... if they were of so many different things: a frame that can't be read for
itself says nothing of the others."""
PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
PROBE_S = 30.0
"""A probe that has not ended by then counts as lost, and another is made."""


class State(IntEnum):
    """As the metric shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Entry(NamedTuple):
    """Leave to make one call; its outcome counts in its own epoch alone."""

    epoch: int


class Circuit:
    """One service in one region.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._state = State.CLOSED
        self._epoch = 0
        self._failures = 0
        self._subjects: set[str] = set()
        self._pause = PAUSE_S
        self._until = 0.0

    @property
    def state(self) -> State:
        """Closed, half-open (a probe is under way) or open."""
        return self._state

    def retry_after(self) -> float:
        """0 if a call may be made now, else seconds until one may."""
        if self._state is State.CLOSED:
            return 0.0
        left = max(0.0, self._until - self._clock())
        # A probe mostly ends long before it counts as lost.
        return min(left, PAUSE_S) if self._state is State.HALF_OPEN else left

    def enter(self) -> Entry | None:
        """Leave to make a call; None if none may be made now."""
        if self.retry_after() > 0:
            return None
        if self._state is not State.CLOSED:
            self._become(State.HALF_OPEN, PROBE_S)
        return Entry(self._epoch)

    def succeeded(self, entry: Entry) -> None:
        """The service answered: with what was asked, or that it can't be had."""
        if entry.epoch != self._epoch:
            return
        self._failures = 0
        self._subjects.clear()
        if self._state is not State.CLOSED:
            self._pause = PAUSE_S
            self._become(State.CLOSED, 0.0)

    def failed(self, entry: Entry, subject: str) -> None:
        """No answer in time, or a 5xx, to a call about ``subject``."""
        if entry.epoch != self._epoch:
            return
        if self._state is State.CLOSED:
            self._failures += 1
            if len(self._subjects) < SUBJECTS:
                self._subjects.add(subject)
            if self._failures < FAILURES or len(self._subjects) < SUBJECTS:
                return
            self._failures = 0
            self._subjects.clear()
        else:
            self._pause = min(LONGEST_PAUSE_S, self._pause * 2)
        self._become(State.OPEN, self._pause)

    def abandoned(self, entry: Entry) -> None:
        """The call was given up before its outcome: another may probe at once."""
        if entry.epoch == self._epoch and self._state is State.HALF_OPEN:
            self._become(State.OPEN, 0.0)

    def _become(self, state: State, pause: float) -> None:
        self._state = state
        self._epoch += 1
        self._until = self._clock() + pause
