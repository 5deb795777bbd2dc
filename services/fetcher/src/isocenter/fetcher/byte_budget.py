"""A bound on bytes in use by many threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """At most ``limit`` bytes are taken at a time.

    A taker of more than the limit waits until it is alone: it is slow, not stuck.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._free = threading.Condition()

    @property
    def taken(self) -> int:
        """Bytes in use now."""
        return self._taken

    @contextmanager
    def take(self, count: int) -> Iterator[None]:
        """Hold ``count`` bytes; waits for them."""
        with self._free:
            self._free.wait_for(
                lambda: self._taken == 0 or self._taken + count <= self._limit
            )
            self._taken += count
        try:
            yield
        finally:
            with self._free:
                self._taken -= count
                self._free.notify_all()
