"""What is left to do towards S3, in the order in which it may be done.

The list is bounded: what is on the volume beyond it is found there when the list runs
low, so an S3 that is away for days costs no memory. Only closed batches are looked
through, because in an open one a file may be there that is not acknowledged yet.
"""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from isocenter.core.batch import StoredInstance

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
_LIMIT = 6_000
"""Tasks listed, about 1 kB each: an open batch's 5,000 and some."""
_AWAY_S = 1.0


class Task(NamedTuple):
    """One PUT to make: an instance, a closed batch's manifest, or a file in quarantine.

    Attributes:
        kind: what is to be put.
        batch: batch id; of a quarantined file its reason.
        name: of the spool file, without ``.dcm``; empty for a manifest.
        attempt: how often it has failed.
        instance: the record, if it is at hand; ``Spool.instance`` makes it again.
    """

    kind: Literal["instance", "manifest", "quarantine"]
    batch: str
    name: str = ""
    attempt: int = 0
    instance: StoredInstance | None = None

    @property
    def subject(self) -> tuple[str, str, str]:
        """What the task is about, whichever attempt it is."""
        return self.kind, self.batch, self.name

    def again(self) -> "Task":
        """The same after one more failure."""
        return self._replace(attempt=self.attempt + 1)


class Volume(Protocol):
    """Where tasks are found that are not listed."""

    def waiting(self, batch: str) -> Iterable[str]:
        """Names of a batch's instances that S3 does not have."""

    def exists(self, batch: str, name: str) -> bool:
        """Whether an instance's file is still there."""

    def quarantined(self) -> Iterable[tuple[str, str]]:
        """Reason and hash of files in quarantine."""

    def is_quarantined(self, reason: str, sha256: str) -> bool:
        """Whether such a file is still there."""


def delay_s(attempt: int, chance: float) -> float:
    """Seconds before the next try: doubling to a minute, with jitter.

    Args:
        attempt: failures so far, 1 or more.
        chance: 0..1; half of the delay is fixed, half is this share, so that pods
            which lost S3 together do not come back together.
    """
    full = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(attempt - 1, 16))
    return float(full * (0.5 + 0.5 * chance))


class Backlog:
    """Tasks by the time at which they are due; for many threads.

    Args:
        volume: looked through for what is not listed.
        limit: instances and quarantined files listed at a time.
        clock: seconds.
        chance: 0..1, for delays.
    """

    def __init__(
        self,
        volume: Volume,
        *,
        limit: int = _LIMIT,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._volume = volume
        self._limit = limit
        self._clock = clock
        self._chance = chance
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Task]] = []
        self._listed: dict[tuple[str, str, str], bool] = {}
        # Subject -> whether a thread has taken it.
        self._left = 0
        self._overflowed: set[str] = set()
        self._unlisted: dict[str, None] = {}
        self._quarantine_unlisted = False
        self._listing = False
        self._closed = False
        # The lock by itself where nobody is waited for: a condition is Python.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)

    # What comes in.

    def add(self, task: Task) -> None:
        """A task that is due now; of an instance, that it was acknowledged."""
        with self._lock:
            if task.kind == "quarantine":
                self._add_quarantined(task)
                return
            self._left += 1
            if task.kind == "instance" and len(self._listed) >= self._limit:
                self._overflowed.add(task.batch)
            else:
                self._push(task, self._clock())

    def add_found(self, batch: str, count: int) -> None:
        """A closed batch that was found at the start, with instances S3 lacks."""
        with self._changed:
            self._left += count
            if count:
                self._unlisted[batch] = None
                self._changed.notify_all()

    def add_quarantine(self) -> None:
        """Files were found in quarantine at the start."""
        with self._changed:
            self._quarantine_unlisted = True
            self._changed.notify_all()

    def batch_closed(self, batch: str) -> None:
        """Every file in a batch's folder is acknowledged from now on."""
        with self._changed:
            if batch in self._overflowed:
                self._overflowed.discard(batch)
                self._unlisted[batch] = None
                self._changed.notify_all()

    def _add_quarantined(self, task: Task) -> None:
        if len(self._listed) >= self._limit:
            self._quarantine_unlisted = True
        elif task.subject not in self._listed:
            self._left += 1
            self._push(task, self._clock())

    def _push(self, task: Task, due: float) -> None:
        self._listed[task.subject] = False
        heapq.heappush(self._heap, (due, next(self._order), task))
        self._changed.notify()

    # What goes out.

    def take(self) -> Task | None:
        """The next due task, waiting for one; None once the backlog is closed.

        Each task taken must be followed by one ``done`` or one ``put_back``, never
        both: what was put back may be another thread's by then.
        """
        with self._lock:
            while not self._closed:
                now = self._clock()
                if self._heap and self._heap[0][0] <= now:
                    task = heapq.heappop(self._heap)[2]
                    self._listed[task.subject] = True
                    return task
                if self._may_list():
                    self._list_more()
                else:
                    self._changed.wait(self._heap[0][0] - now if self._heap else None)
            return None

    def done(self, task: Task) -> None:
        """A taken task has been carried out."""
        subject = task.subject
        with self._lock:
            if self._listed.get(subject):
                del self._listed[subject]
                self._left -= 1
            if not self._listed and self._is_empty():
                self._emptied.notify_all()
            elif self._may_list():
                self._changed.notify()

    def put_back(self, task: Task) -> float:
        """Add a failed task again, to be due later; answers in how many seconds."""
        delay = delay_s(task.attempt + 1, self._chance())
        with self._changed:
            self._push(task.again(), self._clock() + delay)
        return delay

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
        with self._emptied:
            return self._emptied.wait_for(self._is_empty, timeout_s)

    def _is_empty(self) -> bool:
        return (
            self._left <= 0
            and not self._listed
            and not self._unlisted
            and not self._quarantine_unlisted
            and not self._listing
        )

    def close(self) -> None:
        """Let every ``take`` answer None; what is left stays on the volume."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        """Objects that S3 does not have yet, listed or not."""
        with self._changed:
            return max(self._left, len(self._listed))

    # Looking through the volume; one thread at a time, without the lock.

    def _may_list(self) -> bool:
        return (
            not self._listing
            and len(self._listed) < self._limit // 2
            and bool(self._unlisted or self._quarantine_unlisted)
        )

    def _list_more(self) -> None:
        self._listing = True
        batch = next(iter(self._unlisted), None)
        if batch is None:
            self._quarantine_unlisted = False
        self._changed.release()
        try:
            complete = self._list_quarantine() if batch is None else self._list(batch)
        except OSError:  # the volume is away
            complete = False
            time.sleep(_AWAY_S)
        finally:
            self._changed.acquire()
            self._listing = False
        if batch is None:
            self._quarantine_unlisted |= not complete
        else:
            del self._unlisted[batch]
            if not complete:  # behind the others, which a damaged folder must not stop
                self._unlisted[batch] = None
        self._changed.notify_all()
        if self._is_empty():
            self._emptied.notify_all()

    def _list(self, batch: str) -> bool:
        """List a batch's instances; False if not all of them fit."""
        for name in self._volume.waiting(batch):
            if not self._found(Task("instance", batch, name), self._volume.exists):
                return False
        return True

    def _list_quarantine(self) -> bool:
        for reason, sha256 in self._volume.quarantined():
            task = Task("quarantine", reason, sha256)
            if not self._found(task, self._volume.is_quarantined):
                return False
        return True

    def _found(self, task: Task, exists: Callable[[str, str], bool]) -> bool:
        """List a task that is not; False if there is no room for it.

        A folder is read in pieces: what was done since then is gone by now. What is
        there and was not listed a moment ago is nobody's but ours.
        """
        with self._changed:
            if task.subject in self._listed:
                return True
            if len(self._listed) >= self._limit:
                return False
        if exists(task.batch, task.name):
            with self._changed:
                if task.subject not in self._listed:
                    self._left += task.kind == "quarantine"
                    self._push(task, self._clock())
        return True
