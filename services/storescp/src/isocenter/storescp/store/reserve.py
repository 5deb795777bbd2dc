"""Room on the volume for what must be written to make room.

A file may only be removed when ``put.jsonl`` says that S3 has it, and that needs
space. On a volume that is full to the last block nothing could ever be removed: so
some room is held, and given up when it comes to that.
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)

FILE_NAME = "reserve"
_MOST_BYTES = 4 * 1024 * 1024
_LEAST_BYTES = 64 * 1024
_SHARE = 64
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
Answer = TypeVar("Answer")


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room."""
    return error.errno in _FULL


class Reserve:
    """One worker's reserve; safe for threads.

    Args:
        folder: of the worker.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self.held = True
        """Whether the room is there; while it is not, no instances are taken."""

    def hold(self) -> None:
        """Take the room, if it isn't held and there is twice as much."""
        if self.held and self._path.exists():
            return
        try:
            total, _, free = shutil.disk_usage(self._path.parent)
            size = max(_LEAST_BYTES, min(_MOST_BYTES, total // _SHARE))
            if free < 2 * size:
                self.held = False
                return
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, size)
            finally:
                os.close(file)
        except OSError as error:
            self.held = False
            self._path.unlink(missing_ok=True)
            log.warning("no room can be held", extra={"error": str(error)})
            return
        if not self.held:
            log.info("there is room on the volume again")
        self.held = True

    def within(self, write: Callable[[], Answer]) -> Answer:
        """Write; on a full volume, with the reserve's room.

        Args:
            write: may be called twice.

        Raises:
            OSError: the volume's.
        """
        try:
            return write()
        except OSError as error:
            if not is_full(error):
                raise
            self._give_up()
            return write()

    def _give_up(self) -> None:
        if self.held:
            log.warning("the volume is full: the reserve is used to empty it")
        self.held = False
        self._path.unlink(missing_ok=True)
