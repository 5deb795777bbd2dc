"""The established associations of this process: counts for limits, and their end."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol


class Running(Protocol):
    """An established association, as the registry needs it; safe for any thread."""

    def end_when_idle(self) -> None:
        """Abort as soon as no request is being received or answered."""

    def abort(self) -> None:
        """Abort now."""


class Registry:
    """Counts places and lists associations.

    Places are taken by the door before an association's thread exists, so that a burst
    of connections cannot pass a limit; associations are added by their threads.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._places: Counter[str] = Counter()
        self._associations: set[Running] = set()
        self._ending = False

    def enter(self, address: str) -> None:
        """Take a place for a peer's association; ``leave`` must follow."""
        with self._changed:
            self._places[address] += 1

    def leave(self, address: str) -> None:
        """Give a place back: the association has ended."""
        with self._changed:
            self._places[address] -= 1
            if self._places[address] <= 0:
                del self._places[address]
            self._changed.notify_all()

    def total(self) -> int:
        """Places taken."""
        with self._changed:
            return self._places.total()

    def of(self, address: str) -> int:
        """Places taken by one peer address."""
        with self._changed:
            return self._places[address]

    @contextmanager
    def running(self, association: Running) -> Iterator[None]:
        """Hold an association in ``active`` while it runs."""
        with self._changed:
            self._associations.add(association)
            ending = self._ending
        try:
            if ending:  # its place was taken before, its thread began after
                association.end_when_idle()
            yield
        finally:
            with self._changed:
                self._associations.discard(association)
                self._changed.notify_all()

    def active(self) -> list[Running]:
        """The associations of now."""
        with self._changed:
            return list(self._associations)

    def end_all(self, last_s: float) -> None:
        """End the associations that peers have not released.

        Call it when no new ones can begin. Associations between two requests are
        aborted; one that is receiving an instance may finish it.

        Args:
            last_s: seconds for the instances that are under way, and as many for
                aborted ones to be gone.
        """
        with self._changed:
            self._ending = True
        for association in self.active():
            association.end_when_idle()
        if not self.wait_empty(last_s):
            for association in self.active():
                # One whose peer takes nothing waits; it must not hold up the others.
                with suppress(RuntimeError):  # the system has no thread left
                    threading.Thread(target=association.abort, daemon=True).start()
            self.wait_empty(last_s)

    def wait_empty(self, timeout_s: float) -> bool:
        """Whether there is no association and no place taken, after so long at most."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._associations or self._places.total():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True
