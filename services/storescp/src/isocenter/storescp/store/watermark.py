"""Whether there is room for one more instance."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isocenter.storescp.status import StoreRefusedError, StoreStatus

log = logging.getLogger(__name__)

_RESUME_SHARE = 0.9


@dataclass(frozen=True)
class Limits:
    """How full the volume may become.

    Attributes:
        min_free_bytes: free space from which down instances are refused.
        resume_free_bytes: free space from which up they are taken again.
        max_bytes: bytes of this worker's files from which up instances are refused,
            until nine tenths are left; None for no such limit.
    """

    min_free_bytes: int = 0
    resume_free_bytes: int = 0
    max_bytes: int | None = None


def full(limits: Limits, free: int, used: int, *, refusing: bool) -> bool:
    """Whether to refuse: from one mark on, until another is passed. Pure.

    Args:
        limits: the marks.
        free: bytes free on the volume.
        used: bytes of this worker's files.
        refusing: whether instances were refused up to now.
    """
    if free <= limits.min_free_bytes:
        return True
    if limits.max_bytes is not None and used >= limits.max_bytes:
        return True
    if not refusing:
        return False
    if limits.max_bytes is not None and used > limits.max_bytes * _RESUME_SHARE:
        return True
    return free < limits.resume_free_bytes


class Watermark:
    """The state of one worker; safe for threads.

    Args:
        folder: on the volume.
        limits: the marks.
        used: bytes of this worker's files.
    """

    def __init__(
        self, folder: Path, limits: Limits, used: Callable[[], int] = lambda: 0
    ) -> None:
        self._folder = str(folder)
        self._limits = limits
        self._used = used
        self._lock = threading.Lock()
        self._refusing = False

    def check(self) -> None:
        """Let an instance in.

        Raises:
            StoreRefusedError: there is no room for it.
            OSError: the volume's.
        """
        if self.is_full():
            raise StoreRefusedError(
                StoreStatus.OUT_OF_RESOURCES, "the spool volume is nearly full"
            )

    def is_full(self) -> bool:
        """Whether instances are refused now.

        Raises:
            OSError: the volume's.
        """
        volume = os.statvfs(self._folder)
        free, used = volume.f_bavail * volume.f_frsize, self._used()
        with self._lock:
            before = self._refusing
            now = self._refusing = full(self._limits, free, used, refusing=before)
        if now is not before:
            log.log(
                logging.WARNING if now else logging.INFO,
                "the spool is full: instances are refused"
                if now
                else "the spool has room again: instances are taken",
                extra={"free_bytes": free, "bytes": used},
            )
        return now
