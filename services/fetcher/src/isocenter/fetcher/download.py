"""Frames from HealthImaging into array files, many at a time, in bounded memory."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from isocenter.core.dataset import OmissionReason
from isocenter.core.errors import (
    AwsError,
    DeniedError,
    IntegrityError,
    IsocenterError,
    MalformedError,
)
from isocenter.fetcher import metrics
from isocenter.fetcher.byte_budget import ByteBudget
from isocenter.fetcher.decoders import Decoders
from isocenter.fetcher.errors import InterruptedFetchError
from isocenter.fetcher.frame_work import FrameWork
from isocenter.fetcher.image_set_source import ImageSetSource
from isocenter.fetcher.retry import TRANSIENT, retrying

T = TypeVar("T")

log = logging.getLogger(__name__)

_REASONS: tuple[tuple[type[IsocenterError], OmissionReason], ...] = (
    (IntegrityError, OmissionReason.CHECKSUM_MISMATCH),
    (MalformedError, OmissionReason.DECODE_FAILED),
    (DeniedError, OmissionReason.ACCESS_DENIED),
    (AwsError, OmissionReason.FETCH_FAILED),
)
_AGAIN: tuple[type[IsocenterError], ...] = (IntegrityError, MalformedError, *TRANSIENT)
"""Reading once more may help: also a body cut short does not decode."""


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
        decoders: decode, here or in processes; closed with the downloader.
        memory_bytes: bound on stored and decoded frames held at a time.
        attempts: reads of a frame before it is given up.
        pause: seconds before the second read of a frame; doubles each time.
    """

    def __init__(
        self,
        source: ImageSetSource,
        *,
        workers: int,
        decoders: Decoders,
        memory_bytes: int,
        attempts: int,
        pause: float = 0.2,
    ) -> None:
        self._source = source
        self._attempts = attempts
        self._pause = pause
        self._budget = ByteBudget(memory_bytes)
        self._stopped = threading.Event()
        self._decoders = decoders
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="frame")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._decoders.close()

    @property
    def lost(self) -> bool:
        """A decoding process was killed: the downloader is of no more use."""
        return self._decoders.lost

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

    def retrying(
        self,
        call: Callable[[], T],
        *,
        again: tuple[type[IsocenterError], ...] = TRANSIENT,
        on_retry: Callable[[int, IsocenterError], None],
    ) -> T:
        """``retry.retrying`` with own attempts; ends when the downloader is stopped."""
        return retrying(
            call,
            attempts=self._attempts,
            again=again,
            pause=self._pause,
            rest=self.rest,
            on_retry=on_retry,
        )

    def fetch(
        self,
        datastore_id: str,
        image_set_id: str,
        frames: Sequence[tuple[str, FrameWork]],
        *,
        before: Callable[[], None],
        after: Callable[[FrameOutcome], None],
    ) -> list[FrameOutcome]:
        """Fetch frames into their slots; outcomes in the order of ``frames``.

        Args:
            datastore_id: data store.
            image_set_id: image set.
            frames: frame id and what to do with it.
            before: called from a worker's thread for each frame; may raise to end it.
            after: called from a worker's thread for each frame that ended.

        Raises:
            OSError: the file system refused a write.
            DecoderLostError: a decoding process was killed.
            InterruptedFetchError: the downloader was stopped.
        """

        def one(frame: tuple[str, FrameWork]) -> FrameOutcome:
            before()
            outcome = self._fetch(datastore_id, image_set_id, *frame)
            after(outcome)
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
        def once() -> FrameOutcome:
            self.rest(0)
            with self._budget.take(work.memory):
                metrics.MEMORY_BYTES.set(self._budget.taken)
                return self._once(datastore_id, image_set_id, frame_id, work)

        def on_retry(attempt: int, error: IsocenterError) -> None:
            reason = reason_of(error).value
            metrics.RETRIES.labels(reason).inc()
            log.warning(
                "frame is read again",
                extra={"frame_id": frame_id, "reason": reason, "attempt": attempt},
            )

        try:
            outcome = self.retrying(once, again=_AGAIN, on_retry=on_retry)
        except (AwsError, IntegrityError, MalformedError) as error:
            reason = reason_of(error)
            outcome = FrameOutcome(failure=(reason, str(error)))
        metrics.FRAMES.labels(outcome.failure[0] if outcome.failure else "ok").inc()
        return outcome

    def _once(
        self, datastore_id: str, image_set_id: str, frame_id: str, work: FrameWork
    ) -> FrameOutcome:
        began = time.monotonic()
        stored = self._source.frame_bytes(datastore_id, image_set_id, frame_id)
        metrics.STORED_BYTES.inc(len(stored))
        decoding = time.monotonic()
        metrics.FRAME_SECONDS.labels("download").observe(decoding - began)
        crc32 = self._decoders.carry_out(work, stored)
        metrics.FRAME_SECONDS.labels("decode").observe(time.monotonic() - decoding)
        return FrameOutcome(stored_bytes=len(stored), crc32=crc32)
