"""What is to be done next, and when; for many threads."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Agenda:
    """Names by the time at which they are due; a name taken is nobody else's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._heap: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._taken: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, name: str, delay_s: float = 0.0) -> None:
        """Have a name taken in ``delay_s`` seconds, or earlier if it was to be."""
        due = self._clock() + delay_s
        with self._changed:
            if self._due.get(name, due + 1) <= due:
                return
            self._due[name] = due
            heapq.heappush(self._heap, (due, next(self._order), name))
            self._changed.notify()

    def take(self) -> str | None:
        """The next due name, waiting for one; None once closed.

        Each name taken must be followed by one ``done``.
        """
        with self._changed:
            while not self._closed:
                wait = self._next()
                if isinstance(wait, str):
                    return wait
                self._changed.wait(wait)
            return None

    def _next(self) -> str | float | None:
        """A due name, or the seconds until there may be one."""
        now, busy = self._clock(), []
        try:
            while self._heap:
                due, order, name = self._heap[0]
                if due > now:
                    return due - now
                heapq.heappop(self._heap)
                if self._due.get(name) != due:
                    continue  # was moved to an earlier time
                if name in self._taken:
                    busy.append((due, order, name))
                    continue
                del self._due[name]
                self._taken.add(name)
                return name
            return None
        finally:
            for entry in busy:
                heapq.heappush(self._heap, entry)

    def done(self, name: str) -> None:
        """A taken name may be taken again."""
        with self._changed:
            self._taken.discard(name)
            self._changed.notify_all()

    def close(self) -> None:
        """Let every ``take`` answer None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
