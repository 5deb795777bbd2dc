"""Bytes that one worker has on the volume."""

import threading


class Usage:
    """A counter for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count ``count`` more bytes; fewer if it is negative."""
        with self._lock:
            self._bytes += count

    @property
    def bytes(self) -> int:
        """The count."""
        return self._bytes
