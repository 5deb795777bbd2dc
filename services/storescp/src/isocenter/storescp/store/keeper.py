"""What it takes to acknowledge an instance: known already, or made durable now."""

import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Literal, NamedTuple

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import AwsError
from isocenter.storescp import metrics
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.store.batcher import Arrival, Batcher, Write
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.early import EarlyNotes
from isocenter.storescp.store.index import Index, Known
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.store.objects import InstanceStore
from isocenter.storescp.store.spool import Spool

log = logging.getLogger(__name__)

_UNASKED_S = 30.0
"""After S3 did not answer, duplicates are not looked for there for so long."""


class Kept(NamedTuple):
    """What became of an instance that may be acknowledged.

    Attributes:
        key: of its object in S3, now or soon.
        duplicate: whether the same bytes were acknowledged before; nothing was kept.
        moved: whether the file is in a batch now.
    """

    key: str
    duplicate: bool
    moved: bool


class Received(NamedTuple):
    """An instance that came, as ``StoredInstance`` but for the key it will have."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    bytes: int
    sha256: str
    calling_ae: str
    received_at: datetime

    def stored_as(self, key: str) -> StoredInstance:
        """Its record."""
        return StoredInstance(key=key, **self._asdict())


class Keeper:
    """Keeps instances; safe for many associations at once.

    Args:
        spool: where they lie until S3 has them.
        batcher: which batch they join.
        index: what was stored before.
        objects: S3.
        durability: what an instance has reached before it is acknowledged.
        clock: seconds.
    """

    def __init__(
        self,
        spool: Spool,
        batcher: Batcher,
        index: Index,
        objects: InstanceStore,
        *,
        durability: Literal["spool", "object_store"] = "spool",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._batcher = batcher
        self._index = index
        self._objects = objects
        self._clock = clock
        self._ask_again_at = 0.0
        self._early = EarlyNotes(spool) if durability == "object_store" else None

    def keep(self, instance: Received, part: str, sync: Callable[[], None]) -> Kept:
        """Make an instance durable, unless its bytes are known.

        Args:
            instance: what came.
            part: its file; moved, if it is kept on the volume.
            sync: makes the file's content durable.

        Raises:
            StoreRefusedError: it is not kept, and why.
            OSError: the volume's; it is not kept.
        """
        uid, sha256 = instance.sop_instance_uid, instance.sha256
        with self._batcher.claim(uid):
            known = self._index.find(uid)
            same, others = None, False
            for each in known:
                if each.sha256 == sha256:
                    same = each
                else:
                    others = True
            if self._batcher.has(uid, sha256) or (same and self._is_there(same)):
                metrics.DUPLICATES.inc()
                return Kept(same.key if same else "", duplicate=True, moved=False)
            arrival = Arrival(
                sop_instance_uid=uid,
                sha256=sha256,
                size=instance.bytes,
                calling_ae=instance.calling_ae,
                conflict=others,
            )
            stored, name = self._batcher.add(
                arrival, self._writer(instance, part, sync)
            )
        if name.conflict:
            metrics.CONFLICTS.inc()
            log.warning(
                "a SOP Instance UID came again with other bytes: both are kept",
                extra={
                    "calling_ae": instance.calling_ae,
                    "sop_instance_uid": uid,
                    "key": stored.key,
                },
            )
        return Kept(stored.key, duplicate=False, moved=self._early is None)

    def _writer(self, instance: Received, part: str, sync: Callable[[], None]) -> Write:
        def placed_at(
            destination: Destination, batch: str, name: SpoolName
        ) -> StoredInstance:
            study = instance.study_instance_uid
            return instance.stored_as(destination.instance_key(batch, name.stem, study))

        def to_spool(batch: str, name: SpoolName) -> tuple[StoredInstance, bool]:
            destination = self._spool.destination_of(batch)
            placed = placed_at(destination, batch, name)
            sync()
            self._spool.keep(batch, part, name)
            self._index.record(
                Known(
                    sop_instance_uid=name.sop_instance_uid,
                    sha256=name.sha256,
                    sop_class_uid=placed.sop_class_uid,
                    bucket=destination.bucket,
                    key=placed.key,
                    batch=batch,
                    place=self._spool.place(batch, name),
                    time=placed.received_at.timestamp(),
                )
            )
            return placed, False

        def to_object_store(batch: str, name: SpoolName) -> tuple[StoredInstance, bool]:
            destination = self._spool.destination_of(batch)
            placed = placed_at(destination, batch, name)
            noted = None
            # What a compressed object is, is only known when it was put.
            if self._early is not None and not destination.gzip:
                noted = self._early.begin(batch, str(name), placed)
            try:
                put = self._objects.put(destination, batch, name, part, placed)
            except Exception as error:
                if noted is not None:
                    with contextlib.suppress(OSError):
                        noted()
                    self._spool.retract(batch, str(name))
                if not isinstance(error, AwsError):
                    raise
                log.warning(
                    "an instance is not acknowledged: S3 did not take it",
                    extra={"batch": batch, "error": str(error)},
                )
                raise StoreRefusedError(
                    StoreStatus.OUT_OF_RESOURCES, "the object store did not take it"
                ) from error
            if noted is not None:
                noted()
                self._spool.record_put(batch, [(str(name), put)])
            else:
                self._spool.note_put(batch, [(str(name), put)])
            return put, True

        return to_object_store if self._early is not None else to_spool

    def _is_there(self, known: Known) -> bool:
        """Whether what the index says is still so; if in doubt, no."""
        if known.place and (self._spool.volume / known.place).exists():
            return True
        if self._clock() < self._ask_again_at:
            return False
        try:
            return self._objects.has(known.bucket, known.key)
        except AwsError as error:
            self._ask_again_at = self._clock() + _UNASKED_S
            log.warning(
                "S3 does not say whether it has an instance that came again:"
                " it is stored once more",
                extra={"error": str(error)},
            )
            return False
