"""The open batch and the closed ones, shared by all associations of the process.

A batch is open in at most one process and only while that process lives: what is
found on the volume at the start is closed by definition. Of a closed batch nothing is
kept in memory but two counts.

Equal SOP Instance UIDs are received one after the other (``claim``), so the second
finds what became of the first. An instance whose UID the open batch has with other
bytes joins it under a name, and so a key, of its own.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from isocenter.core.batch import StoredInstance
from isocenter.storescp import metrics
from isocenter.storescp.batches import (
    BatchExtent,
    BatchLimits,
    CloseReason,
    batch_id,
    due,
    fits,
    id_time,
)
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.store.backlog import Backlog, Task
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.store.spool import Spool

log = logging.getLogger(__name__)

_WAIT_FOR_TWIN_S = 60.0


@dataclass(eq=False)
class _Batch:
    """A batch of this process.

    ``writing`` and ``waiting`` count instances not yet durable and not yet in S3; a
    closed batch with neither is complete. ``joined`` has, while it is open, the first
    hash of each SOP Instance UID, and the others behind it; ``named`` the hash that
    the plain name is for, also if it was not kept: its object may come yet.
    """

    id: str
    closed: bool = False
    writing: int = 0
    waiting: int = 0
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    extent: BatchExtent = field(default_factory=lambda: BatchExtent(0, 0))


class Arrival(NamedTuple):
    """An instance that is to join a batch.

    Attributes:
        sop_instance_uid: checked to be a UID.
        sha256: of its file.
        size: of its file, in bytes.
        calling_ae: who sent it.
        conflict: whether the UID is known with other bytes.
    """

    sop_instance_uid: str
    sha256: str
    size: int
    calling_ae: str
    conflict: bool = False


Write = Callable[[str, SpoolName], tuple[StoredInstance, bool]]
"""Makes an instance durable in a batch, under a name; answers its record, and whether
S3 has it already."""


def _now() -> datetime:
    return datetime.now(UTC)


class _Claim:
    """Holds a UID among all claims; a generator would cost several times as much."""

    __slots__ = ("_claims", "_held", "_uid")

    def __init__(self, claims: dict[str, threading.Lock], uid: str) -> None:
        self._claims = claims
        self._uid = uid
        self._held = threading.Lock()

    def __enter__(self) -> None:
        self._held.acquire()
        deadline = time.monotonic() + _WAIT_FOR_TWIN_S
        while (other := self._claims.setdefault(self._uid, self._held)) != self._held:
            if not other.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise StoreRefusedError(
                    StoreStatus.PROCESSING_FAILURE,
                    "the same instance, sent twice at once, was not stored",
                )
            other.release()  # for the next that waits

    def __exit__(self, *_failure: object) -> None:
        del self._claims[self._uid]
        self._held.release()


class Batcher:
    """Puts instances into batches, and says when a batch is complete.

    Args:
        spool: where they lie.
        limits: when a batch is closed.
        work: gets a task for each instance, and for each complete batch.
        clock: seconds, for ages.
        now: UTC, for ids.
    """

    def __init__(
        self,
        spool: Spool,
        limits: BatchLimits,
        work: Backlog,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._spool = spool
        self._limits = limits
        self._work = work
        self._clock = clock
        self._now = now
        self._suffix = secrets.token_hex(4)
        self._last_id_time: datetime | None = None
        self._open: _Batch | None = None
        self._batches: dict[str, _Batch] = {}
        self._lock = threading.Lock()
        self._claimed: dict[str, threading.Lock] = {}

    def claim(self, sop_instance_uid: str) -> AbstractContextManager[None]:
        """Be the only one in this process to store an instance of this UID.

        Raises:
            StoreRefusedError: somebody else is at it, and does not come to an end.
        """
        return _Claim(self._claimed, sop_instance_uid)

    def has(self, sop_instance_uid: str, sha256: str) -> bool:
        """Whether the open batch has these bytes; call it under ``claim``."""
        with self._lock:
            batch = self._open
            return batch is not None and sha256 in batch.joined.get(
                sop_instance_uid, ()
            )

    def add(self, arrival: Arrival, write: Write) -> tuple[StoredInstance, SpoolName]:
        """Make an instance durable in the open batch; call it under ``claim``.

        Args:
            arrival: the instance.
            write: makes it durable.

        Returns:
            Its record, and its name.

        Raises:
            OSError, StoreRefusedError: what ``write`` raised; it is in no batch.
        """
        batch, name = self._admit(arrival)
        written: tuple[StoredInstance, bool] | None = None
        try:
            written = write(batch.id, name)
        finally:
            self._written(batch, name, written)
        return written[0], name

    def _admit(self, arrival: Arrival) -> tuple[_Batch, SpoolName]:
        """The batch for an instance, and its name there."""
        with self._lock:
            self._close_if_due()
            if self._open is not None and not fits(
                self._open.extent, arrival.size, self._limits
            ):
                self._close(self._open, CloseReason.FULL)
            now = self._clock()
            batch = self._open or self._open_batch(now)
            before = batch.joined.get(arrival.sop_instance_uid, ())
            batch.joined[arrival.sop_instance_uid] = (*before, arrival.sha256)
            first = batch.named.setdefault(arrival.sop_instance_uid, arrival.sha256)
            batch.writing += 1
            extent = batch.extent
            batch.extent = BatchExtent(
                extent.opened_at,
                last_at=now,
                instances=extent.instances + 1,
                bytes=extent.bytes + arrival.size,
            )
            return batch, SpoolName(
                sop_instance_uid=arrival.sop_instance_uid,
                sha256=arrival.sha256,
                calling_ae=arrival.calling_ae,
                conflict=arrival.conflict or first != arrival.sha256,
            )

    def _open_batch(self, now: float) -> _Batch:
        self._last_id_time = id_time(self._now(), self._last_id_time)
        batch = _Batch(batch_id(self._last_id_time, self._suffix))
        batch.extent = BatchExtent(opened_at=now, last_at=now)
        self._spool.open_batch(batch.id)
        self._batches[batch.id] = self._open = batch
        return batch

    def _written(
        self,
        batch: _Batch,
        name: SpoolName,
        written: tuple[StoredInstance, bool] | None,
    ) -> None:
        with self._lock:
            batch.writing -= 1
            if written is None:
                _leave(batch, name)
            elif not written[1]:
                batch.waiting += 1
                self._work.add(
                    Task("instance", batch.id, str(name), instance=written[0])
                )
            self._complete_if_done(batch)

    def take_over(self, name: str, waiting: int) -> None:
        """A batch that an earlier process left on the volume: closed, whatever it was.

        Args:
            name: batch id.
            waiting: instances that S3 does not have.
        """
        batch = _Batch(name, waiting=waiting)
        with self._lock:
            self._batches[name] = batch
            self._work.add_found(name, waiting)
            self._close(batch, CloseReason.RECOVERED)

    def put_done(self, batch_name: str) -> None:
        """S3 has one more instance of a batch, or never will."""
        with self._lock:
            batch = self._batches[batch_name]
            batch.waiting -= 1
            self._complete_if_done(batch)

    def forget(self, batch_name: str, name: SpoolName) -> None:
        """A batch goes on without an instance; when it comes again, it is kept.

        Call it when nothing is left to do for it: its name may be another's at once.
        """
        with self._lock:
            batch = self._batches.get(batch_name)
            if batch is not None:
                _leave(batch, name)

    def sealed(self, batch_name: str) -> None:
        """S3 has the manifest and the folder is gone."""
        with self._lock:
            self._batches.pop(batch_name, None)

    def tick(self) -> None:
        """Close the open batch if its time has come; called every second or so."""
        with self._lock:
            self._close_if_due()

    def close(self) -> None:
        """Close the open batch, whatever its age: the process ends."""
        with self._lock:
            if self._open is not None:
                self._close(self._open, CloseReason.SHUTDOWN)

    def _close_if_due(self) -> None:
        if self._open is not None:
            reason = due(self._open.extent, self._clock(), self._limits)
            if reason is not None:
                self._close(self._open, reason)

    def _close(self, batch: _Batch, reason: CloseReason) -> None:
        batch.closed = True
        batch.joined.clear()
        batch.named.clear()
        if self._open is batch:
            self._open = None
        metrics.BATCHES_CLOSED.labels(reason).inc()
        log.info(
            "batch closed",
            extra={
                "batch": batch.id,
                "reason": reason,
                "instances": batch.extent.instances or batch.waiting,
                "bytes": batch.extent.bytes,
            },
        )
        self._complete_if_done(batch)

    def _complete_if_done(self, batch: _Batch) -> None:
        if not batch.closed or batch.writing:
            return
        if batch.waiting:
            self._work.batch_closed(batch.id)
        else:
            self._work.add(Task("manifest", batch.id))


def _leave(batch: _Batch, name: SpoolName) -> None:
    uid = name.sop_instance_uid
    left = tuple(h for h in batch.joined.get(uid, ()) if h != name.sha256)
    if left:
        batch.joined[uid] = left
    else:
        batch.joined.pop(uid, None)
