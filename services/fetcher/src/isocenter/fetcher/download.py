"""Frames from HealthImaging into array files, many at a time.

Threads wait for the network, processes decode: the codec's Python binding holds the
interpreter's lock, so that a second decoding thread would gain nothing and keep the
downloads waiting.
"""

import logging
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

from isocenter.core.dataset import OmissionReason
from isocenter.core.errors import (
    AwsError,
    BusyError,
    DeniedError,
    IntegrityError,
    IsocenterError,
    MalformedError,
    UnavailableError,
)
from isocenter.fetcher import metrics
from isocenter.fetcher.byte_budget import ByteBudget
from isocenter.fetcher.errors import InterruptedFetchError
from isocenter.fetcher.frame_work import FrameWork, carry_out
from isocenter.fetcher.image_set_source import ImageSetSource

log = logging.getLogger(__name__)

_REASONS: tuple[tuple[type[IsocenterError], OmissionReason], ...] = (
    (IntegrityError, OmissionReason.CHECKSUM_MISMATCH),
    (MalformedError, OmissionReason.DECODE_FAILED),
    (DeniedError, OmissionReason.ACCESS_DENIED),
    (AwsError, OmissionReason.FETCH_FAILED),
)
_AGAIN = (IntegrityError, MalformedError, BusyError, UnavailableError)
"""Reading once more may help: also a body cut short does not decode."""
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class FrameOutcome:
    """What became of one frame.

    Attributes:
        stored_bytes: of the body that was read.
        crc32: its checksum; None when it failed.
        failure: why it is not in its array, and in words.
    """

    stored_bytes: int = 0
    crc32: int | None = None
    failure: tuple[OmissionReason, str] | None = None


def reason_of(error: IsocenterError) -> OmissionReason:
    """The omission that a failure amounts to."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return OmissionReason.FETCH_FAILED


class FrameDownloader:
    """Fetches frames for any number of image sets, within one bound on memory.

    Args:
        source: HealthImaging; its connection pool should hold ``workers``.
        workers: frames in flight.
        decode_processes: 0 is one for each CPU, 1 decodes in the workers' threads.
        memory_bytes: bound on stored and decoded frames held at a time.
        attempts: reads of a frame before it is given up.
        pause: seconds before the second read of a frame; doubles each time.
    """

    def __init__(
        self,
        source: ImageSetSource,
        *,
        workers: int,
        decode_processes: int,
        memory_bytes: int,
        attempts: int,
        pause: float = 0.2,
    ) -> None:
        self._source = source
        self._attempts = attempts
        self._pause = pause
        self._budget = ByteBudget(memory_bytes)
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="frame")
        self._processes = _decoders(decode_processes)

    def __enter__(self) -> "FrameDownloader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(wait=True, cancel_futures=True)

    @property
    def source(self) -> ImageSetSource:
        """Where frames come from."""
        return self._source

    def stop(self) -> None:
        """Take no further frame; fetches under way end with an error."""
        self._stopped.set()

    def rest(self, seconds: float) -> None:
        """Wait, unless the downloader is stopped.

        Raises:
            InterruptedFetchError: it was, before or meanwhile.
        """
        if self._stopped.wait(seconds):
            raise InterruptedFetchError("the fetch was told to stop")

    def fetch(
        self,
        datastore_id: str,
        image_set_id: str,
        frames: Sequence[tuple[str, FrameWork]],
        on_outcome: Callable[[FrameOutcome], None],
    ) -> list[FrameOutcome]:
        """Fetch frames into their slots; outcomes in the order of ``frames``.

        Args:
            datastore_id: data store.
            image_set_id: image set.
            frames: frame id and what to do with it.
            on_outcome: called from a worker's thread for each frame that ended.

        Raises:
            OSError: the file system refused a write.
            InterruptedFetchError: the downloader was stopped.
        """

        def one(frame: tuple[str, FrameWork]) -> FrameOutcome:
            outcome = self._fetch(datastore_id, image_set_id, *frame)
            on_outcome(outcome)
            return outcome

        futures = [self._threads.submit(one, frame) for frame in frames]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _fetch(
        self, datastore_id: str, image_set_id: str, frame_id: str, work: FrameWork
    ) -> FrameOutcome:
        pause = self._pause
        for attempt in range(1, self._attempts + 1):
            self.rest(0)
            try:
                with self._budget.take(work.memory):
                    metrics.MEMORY_BYTES.set(self._budget.taken)
                    outcome = self._once(datastore_id, image_set_id, frame_id, work)
            except IsocenterError as error:
                reason = reason_of(error)
                if attempt == self._attempts or not isinstance(error, _AGAIN):
                    metrics.FRAMES.labels(reason.value).inc()
                    return FrameOutcome(failure=(reason, str(error)))
                metrics.RETRIES.labels(reason.value).inc()
                log.warning(
                    "frame is read again",
                    extra={"frame_id": frame_id, "reason": reason, "attempt": attempt},
                )
                # Workers that were throttled together must not return together.
                self.rest(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, keeps no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                metrics.FRAMES.labels("ok").inc()
                return outcome
        raise AssertionError("the last attempt returns")  # pragma: no cover

    def _once(
        self, datastore_id: str, image_set_id: str, frame_id: str, work: FrameWork
    ) -> FrameOutcome:
        began = time.monotonic()
        stored = self._source.frame_bytes(datastore_id, image_set_id, frame_id)
        metrics.STORED_BYTES.inc(len(stored))
        decoding = time.monotonic()
        metrics.FRAME_SECONDS.labels("download").observe(decoding - began)
        crc32 = self._carry_out(work, stored)
        metrics.FRAME_SECONDS.labels("decode").observe(time.monotonic() - decoding)
        return FrameOutcome(stored_bytes=len(stored), crc32=crc32)

    def _carry_out(self, work: FrameWork, stored: bytes) -> int:
        if self._processes is None:
            return carry_out(work, stored)
        try:
            return self._processes.submit(carry_out, work, stored).result()
        except BrokenProcessPool as error:
            # Out of memory, most likely: nothing can be decoded any more.
            self.stop()
            raise OSError(
                "a decoding process was killed; give the fetcher more memory, or "
                "lower FETCHER_DECODE_PROCESSES and FETCHER_MEMORY_MIB"
            ) from error


def _decoders(count: int) -> Executor | None:
    wanted = count or len(os.sched_getaffinity(0))
    if wanted == 1:
        return None
    # Not fork: the parent has threads, and a lock held by one would stay locked.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(wanted, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Leave no decoding process behind when the fetcher is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
