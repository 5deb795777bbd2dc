"""Writes that survive the loss of power: file first, then the folder that names it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path


def sync_folder(folder: Path | str) -> None:
    """Make names created, renamed or removed in ``folder`` durable (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> None:
    """Write ``path`` whole or not at all; the folder is not synced yet.

    Raises:
        OSError: the volume's; then no file of that name was made or changed.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


class _Round:
    """One run of the action, and everybody it serves."""

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = threading.Lock()  # an Event is three objects, for every instance
        self.over.acquire()
        self.error: BaseException | None = None


class Grouped:
    """Runs an action for many threads at once.

    A caller is served by a run that began after it called: what it did before is
    covered. Those that call during a run share the next one; the first of them
    makes it, so nobody works for others longer than for itself.

    Args:
        action: for example ``sync_folder`` of a folder.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._next: _Round | None = None

    def __call__(self) -> None:
        """Return when a run that began after this call is over.

        Raises:
            OSError: what the action raised, to everybody it was run for.
        """
        with self._lock:
            mine = self._next
            leads = mine is None
            if mine is None:
                mine = self._next = _Round()
        if leads:
            with self._turn:
                with self._lock:
                    self._next = None
                try:
                    self._action()
                except BaseException as error:  # noqa: BLE001 - raised by each caller below
                    mine.error = error
            mine.over.release()
        else:
            with mine.over:
                pass
        if mine.error is not None:
            raise mine.error
