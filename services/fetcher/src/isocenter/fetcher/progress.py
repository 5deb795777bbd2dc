"""How far a fetch is: counters for many threads, and a line in the log at times."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Reached:
    """Counts at one moment; totals grow while image sets are still being read."""

    image_sets_done: int = 0
    image_sets_total: int = 0
    frames_done: int = 0
    frames_total: int = 0
    stored_bytes: int = 0


class Progress:
    """Counts image sets, frames and bytes.

    Args:
        image_sets: how many were asked for.
        every: least seconds between two lines in the log.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        image_sets: int,
        *,
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._reached = Reached(image_sets_total=image_sets)
        self._every = every
        self._clock = clock
        self._began = self._logged = clock()

    @property
    def reached(self) -> Reached:
        """Counts now."""
        return self._reached

    def planned(self, frames: int) -> None:
        """An image set turned out to have so many frames."""
        self._add(frames_total=frames)

    def frame(self, stored_bytes: int) -> None:
        """A frame ended, well or not."""
        self._add(frames_done=1, stored_bytes=stored_bytes)

    def image_set(self) -> None:
        """An image set ended, well or not."""
        self._add(image_sets_done=1)

    def _add(self, **counts: int) -> None:
        with self._lock:
            old = self._reached
            self._reached = Reached(
                **{k: v + counts.get(k, 0) for k, v in vars(old).items()}
            )
            now = self._clock()
            if now - self._logged < self._every:
                return
            self._logged = now
            reached, seconds = self._reached, now - self._began
        log.info(
            "%d of %d image sets, %d of %d frames, %.1f frames/s, %.1f MB/s",
            reached.image_sets_done,
            reached.image_sets_total,
            reached.frames_done,
            reached.frames_total,
            reached.frames_done / seconds,
            reached.stored_bytes / _MEGABYTE / seconds,
            extra={"bytes": reached.stored_bytes, "duration_s": round(seconds, 1)},
        )
