"""Files that instances are received into: new ones, and ones that are written over.

To make and remove a file costs a journaling file system more than half a megabyte of
bytes in it; to write over one costs no block, no inode and, until the folder is
synced, no transaction. So a file that is done with becomes a blank.
"""

import itertools
import os
import secrets
import shutil
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

BLANK: Final = ".blank"
_MOST_BYTES: Final = 64 * 1024 * 1024
_SHARE: Final = 64
"""Of the volume, that blanks may take."""
_LARGEST_BYTES: Final = 8 * 1024 * 1024
"""Of one: with larger ones the bytes are what costs."""


class Part(NamedTuple):
    """A file to receive an instance into.

    Attributes:
        file: descriptor, for reading too, at the file's beginning.
        path: of the file.
        bytes: of an earlier instance, that the file still has.
    """

    file: int
    path: str
    bytes: int


class Parts:
    """The files of one folder, on the volume; safe for threads.

    Args:
        folder: they are made there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Of this process alone: the threads of one that is still ending must not meet
        # the next one's names, because a rename replaces what it finds.
        self._prefix = f"{folder}/{secrets.token_hex(4)}-"
        self._numbers = itertools.count()
        self._blanks: deque[tuple[str, int]] = deque()
        self._unused = 0
        self._bytes = 0
        self._most_bytes = 0
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Remove what an earlier process left."""
        for path in self._folder.iterdir():
            path.unlink()
        total = shutil.disk_usage(self._folder).total
        self._most_bytes = min(_MOST_BYTES, total // _SHARE)

    def take(self) -> Part:
        """A file that nobody else has.

        Raises:
            OSError: the volume's.
        """
        with self._lock:
            path, size = self._blanks.pop() if self._blanks else ("", 0)
            self._unused = min(self._unused, len(self._blanks))
            self._bytes -= size
        if path:
            try:
                return Part(os.open(path, os.O_RDWR | os.O_CLOEXEC), path, size)
            except OSError:  # somebody tidied the volume, or it is none of ours
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - for many instances, and paths cost
        path = f"{self._prefix}{next(self._numbers)}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return Part(os.open(path, flags, 0o600), path, 0)

    def give_back(self, path: str, size: int) -> None:
        """Have a file written over, or remove it; no name of it needs to last.

        Args:
            path: anywhere on the volume; nobody reads it any more.
            size: of the file.

        Raises:
            OSError: the volume's; it may still be there.
        """
        if self._has_room(size):
            blank = f"{self._prefix}{next(self._numbers)}{BLANK}"
            try:
                os.rename(path, blank)  # noqa: PTH104 - for every instance, and paths cost
            except OSError:
                with self._lock:
                    self._bytes -= size
            else:
                with self._lock:
                    self._blanks.append((blank, size))
                return
        os.unlink(path)  # noqa: PTH108 - as above

    def _has_room(self, size: int) -> bool:
        with self._lock:
            fits = size <= _LARGEST_BYTES and self._bytes + size <= self._most_bytes
            if fits:
                self._bytes += size
            return fits

    def trim(self) -> None:
        """Remove the blanks that nobody needed since it was called last.

        Raises:
            OSError: the volume's.
        """
        with self._lock:
            unused = [self._blanks.popleft() for _ in range(self._unused)]
            self._unused = len(self._blanks)
            self._bytes -= sum(size for _, size in unused)
        while unused:
            try:
                os.unlink(unused[-1][0])  # noqa: PTH108 - as above
            except FileNotFoundError:
                pass
            except OSError:
                with self._lock:  # for the next call
                    self._blanks.extendleft(reversed(unused))
                    self._unused += len(unused)
                    self._bytes += sum(size for _, size in unused)
                raise
            unused.pop()
