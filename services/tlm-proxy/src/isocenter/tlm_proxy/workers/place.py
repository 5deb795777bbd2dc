"""Which worker a process is, where the others are, and which of them owns a frame."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zlib import crc32

from isocenter.core.errors import ConfigurationError
from isocenter.tlm_proxy.frames.key import FrameKey


@dataclass(frozen=True)
class Workers:
    """All workers of a pod.

    Attributes:
        folder: where their sockets are; only their user may enter it, which is
            what lets a worker give frames to another without a token.
        count: how many.
    """

    folder: Path
    count: int

    def socket(self, number: int) -> Path:
        """Where worker ``number`` listens for the others."""
        return self.folder / f"{number}.sock"

    def owner(self, key: FrameKey) -> int:
        """The one worker that asks HealthImaging for this frame."""
        return crc32(key.frame_id.encode()) % self.count


@dataclass(frozen=True)
class Place:
    """One worker's place among them.

    Attributes:
        workers: all of them.
        number: which one this is, from 0.
        lock: open as long as the place is taken; the kernel lets go of it when
            the process dies, whatever it dies of.
    """

    workers: Workers
    number: int
    lock: int

    @classmethod
    def take(cls, workers: Workers) -> Self:
        """The first place that is free.

        Raises:
            ConfigurationError: all are taken.
        """
        for number in range(workers.count):
            path = workers.folder / f"{number}.lock"
            lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            workers.socket(number).unlink(missing_ok=True)
            return cls(workers, number, lock)
        raise ConfigurationError(
            f"{workers.folder}: {workers.count} workers have taken their places"
        )

    @property
    def socket(self) -> Path:
        """Where this worker listens for the others."""
        return self.workers.socket(self.number)
