"""The open batch and the closed ones, shared by all associations of the process.

A batch is open in at most one process and only while that process lives: what is
found on the volume at the start is closed by definition. Rules for an instance whose
SOP Instance UID the open batch has already:

- same data set: it is one object; the second sender gets the answer of the first.
- other data set: the open batch is closed and the instance begins the next one, so
  both reach S3, in two objects of two batches. Which of these is sealed and
  imported first is not promised.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

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
from isocenter.storescp.spool import Part, Spool
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.work import Task, WorkQueue

log = logging.getLogger(__name__)

_WAIT_FOR_TWIN_S = 60.0


@dataclass(eq=False)
class _Entry:
    """An instance of the open batch; ``written`` is set when its fate is known."""

    data_set_sha256: str
    written: threading.Event = field(default_factory=threading.Event)
    durable: bool = False


@dataclass(eq=False)
class _Batch:
    """A batch of this process.

    ``writing`` and ``waiting`` count instances not yet on the volume and not yet in
    S3; a closed batch with neither is complete.
    """

    id: str
    closed: bool = False
    writing: int = 0
    waiting: int = 0
    entries: dict[str, _Entry] = field(default_factory=dict)
    extent: BatchExtent = field(default_factory=lambda: BatchExtent(0, 0))


def _now() -> datetime:
    return datetime.now(UTC)


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
        work: WorkQueue,
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

    def recover(self) -> None:
        """Take over what an earlier process left: closed, and to be put to S3.

        The tasks are those of normal work; only the reason of closing differs.
        """
        for name in self._spool.batches():
            removed = self._spool.remove_unacknowledged(name)
            waiting = self._spool.waiting(name)
            log.info(
                "batch found on the volume; %d waiting, %d unacknowledged removed",
                len(waiting),
                removed,
                extra={"batch": name, "reason": CloseReason.RECOVERED},
            )
            batch = _Batch(name, waiting=len(waiting))
            self._batches[name] = batch
            for sop_instance_uid in waiting:
                self._work.put(Task("instance", name, sop_instance_uid))
            with self._lock:
                self._close(batch, CloseReason.RECOVERED)

    def add(
        self,
        part: Part,
        sop_instance_uid: str,
        instance_for: Callable[[str], StoredInstance],
    ) -> StoredInstance | None:
        """Make a part durable in the open batch.

        Args:
            part: complete file; it has moved or is removed afterwards.
            sop_instance_uid: of the instance, checked to be a UID.
            instance_for: the record, given the batch's id.

        Returns:
            The instance, or None if the batch has the same data set already.

        Raises:
            OSError: the volume's; the instance is in no batch.
            StoreRefusedError: an equal instance, being written by another
                association, did not become durable.
        """
        try:
            batch, entry, mine = self._admit(part, sop_instance_uid)
            if not mine:
                self._wait_for_twin(entry)
                metrics.DUPLICATES.inc()
                return None
            instance = instance_for(batch.id)
            try:
                self._spool.keep(batch.id, part, instance)
                entry.durable = True
            finally:
                self._written(batch, entry, sop_instance_uid)
            return instance
        finally:
            part.path.unlink(missing_ok=True)

    def _admit(self, part: Part, uid: str) -> tuple[_Batch, _Entry, bool]:
        """The batch for a part, its entry there, and whether we are to write it."""
        with self._lock:
            self._close_if_due()
            if self._open is not None:
                twin = self._open.entries.get(uid)
                if twin and twin.data_set_sha256 == part.data_set_sha256:
                    return self._open, twin, False
                if twin:
                    self._close(self._open, CloseReason.CONFLICT)
                elif not fits(self._open.extent, part.size, self._limits):
                    self._close(self._open, CloseReason.FULL)
            now = self._clock()
            batch = self._open or self._open_batch(now)
            entry = batch.entries[uid] = _Entry(part.data_set_sha256)
            batch.writing += 1
            batch.extent = replace(
                batch.extent,
                last_at=now,
                instances=batch.extent.instances + 1,
                bytes=batch.extent.bytes + part.size,
            )
            return batch, entry, True

    def _open_batch(self, now: float) -> _Batch:
        self._last_id_time = id_time(self._now(), self._last_id_time)
        batch = _Batch(batch_id(self._last_id_time, self._suffix))
        batch.extent = BatchExtent(opened_at=now, last_at=now)
        self._spool.open_batch(batch.id)
        self._batches[batch.id] = self._open = batch
        return batch

    def _wait_for_twin(self, entry: _Entry) -> None:
        entry.written.wait(_WAIT_FOR_TWIN_S)
        if not entry.durable:
            raise StoreRefusedError(
                StoreStatus.PROCESSING_FAILURE,
                "the same instance, sent twice at once, was not stored",
            )

    def _written(self, batch: _Batch, entry: _Entry, uid: str) -> None:
        with self._lock:
            batch.writing -= 1
            if entry.durable:
                batch.waiting += 1
                self._work.put(Task("instance", batch.id, uid))
            elif batch.entries.get(uid) is entry:
                del batch.entries[uid]
            self._complete_if_done(batch)
        entry.written.set()

    def put_done(self, batch_name: str) -> None:
        """S3 has one more instance of a batch."""
        with self._lock:
            batch = self._batches[batch_name]
            batch.waiting -= 1
            self._complete_if_done(batch)

    def sealed(self, batch_name: str) -> None:
        """S3 has the manifest and the folder is gone."""
        with self._lock:
            del self._batches[batch_name]

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
        batch.entries.clear()
        if self._open is batch:
            self._open = None
        metrics.BATCHES_CLOSED.labels(reason).inc()
        log.info(
            "batch closed",
            extra={
                "batch": batch.id,
                "reason": reason,
                "instances": batch.extent.instances,
                "bytes": batch.extent.bytes,
            },
        )
        self._complete_if_done(batch)

    def _complete_if_done(self, batch: _Batch) -> None:
        if batch.closed and not batch.writing and not batch.waiting:
            self._work.put(Task("manifest", batch.id))
