"""What is left to do towards S3, in the order in which it may be done."""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """One PUT to make: an instance of a batch, or the manifest of a closed one.

    Attributes:
        kind: what is to be put.
        batch: batch id.
        sop_instance_uid: of the instance, empty for a manifest.
        attempt: how often it has failed.
    """

    kind: Literal["instance", "manifest"]
    batch: str
    sop_instance_uid: str = ""
    attempt: int = 0

    def again(self) -> "Task":
        """The same after one more failure."""
        return replace(self, attempt=self.attempt + 1)


def delay_s(attempt: int, chance: float) -> float:
    """Seconds before the next try: doubling to a minute, with jitter.

    Args:
        attempt: failures so far, 1 or more.
        chance: 0..1; half of the delay is fixed, half is this share, so that pods
            which lost S3 together do not come back together.
    """
    full = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(attempt - 1, 16))
    return float(full * (0.5 + 0.5 * chance))


class WorkQueue:
    """Tasks by the time at which they are due; for many threads."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Task]] = []
        self._taken = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, task: Task) -> None:
        """Add a task that is due now."""
        self._push(task, self._clock())

    def put_back(self, task: Task) -> float:
        """Add a failed task again, to be due later; answers in how many seconds."""
        delay = delay_s(task.attempt + 1, self._chance())
        self._push(task.again(), self._clock() + delay)
        return delay

    def _push(self, task: Task, due: float) -> None:
        with self._changed:
            heapq.heappush(self._heap, (due, next(self._order), task))
            self._changed.notify()

    def take(self) -> Task | None:
        """The next due task, waiting for one; None once the queue is closed.

        Each task taken must be followed by one ``done``.
        """
        with self._changed:
            while not self._closed:
                now = self._clock()
                if self._heap and self._heap[0][0] <= now:
                    self._taken += 1
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(self._heap[0][0] - now if self._heap else None)
            return None

    def done(self) -> None:
        """A taken task has been carried out, or put back."""
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def hurry(self) -> None:
        """Make every waiting task due now: before a shutdown, each gets a last try."""
        with self._changed:
            now = self._clock()
            self._heap = [
                (min(due, now), order, task) for due, order, task in self._heap
            ]
            heapq.heapify(self._heap)
            self._changed.notify_all()

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; False if ``timeout_s`` passed before."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._heap and not self._taken, timeout_s
            )

    def close(self) -> None:
        """Let every ``take`` answer None; what is queued stays on the volume."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._heap) + self._taken
