"""The start: everything an earlier process left is taken up again."""

import logging
import time

from isocenter.core.errors import IsocenterError
from isocenter.storescp.quarantine.entry import ACKNOWLEDGED, parse_entry
from isocenter.storescp.store.backlog import Backlog, Task
from isocenter.storescp.store.batcher import Batcher
from isocenter.storescp.store.index import Index, Known
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.store.spool import Spool
from isocenter.storescp.store.takeover import convert, take_over

log = logging.getLogger(__name__)

_INDEXING_S = 20.0
"""An index that was lost is filled for so long, before instances are taken."""


def recover(
    spool: Spool, batcher: Batcher, work: Backlog, index: Index, *, workers: int = 1
) -> None:
    """Take over what is on the volume: closed batches, and what is in quarantine.

    Args:
        spool: prepared.
        batcher: gets the batches.
        work: gets what is in quarantine, now and later.
        index: told of what it has lost.
        workers: how many are configured; worker 0 takes what is of none of them.

    Raises:
        OSError: the volume's.
    """
    spool.quarantine.added = lambda reason, sha256: work.add(
        Task("quarantine", reason, sha256)
    )
    if spool.worker == 0:
        take_over(spool, workers)
    indexed_until = time.monotonic() + _INDEXING_S
    for batch in spool.batches():
        convert(spool.root / batch)
        waiting = spool.tidy(batch)
        log.info(
            "batch found on the volume; %d instances waiting",
            waiting,
            extra={"batch": batch},
        )
        _fill(index, spool, batch, indexed_until)
        batcher.take_over(batch, waiting)
    if spool.quarantine.tidy():
        _fill_aside(index, spool)
        work.add_quarantine()


def _fill(index: Index, spool: Spool, batch: str, until: float) -> None:
    """Tell the index of a batch's instances, if a kill or damage made it lose them."""
    for name in spool.waiting(batch):
        if time.monotonic() > until:
            log.warning(
                "the index is not filled further: duplicates may not be recognised"
            )
            return
        place = spool.place(batch, name)
        known = SpoolName.parse(name)
        rows = index.find(known.sop_instance_uid)
        if any(row.sha256 == known.sha256 and row.place == place for row in rows):
            continue
        try:
            instance = spool.instance(batch, name)
        except (OSError, IsocenterError):
            continue  # the drain meets it too, and deals with it
        index.record(
            Known(
                sop_instance_uid=known.sop_instance_uid,
                sha256=known.sha256,
                sop_class_uid=instance.sop_class_uid,
                bucket=spool.destination_of(batch).bucket,
                key=instance.key,
                batch=batch,
                place=place,
                time=instance.received_at.timestamp(),
            )
        )


def _fill_aside(index: Index, spool: Spool) -> None:
    """As ``_fill``, of acknowledged instances that went to quarantine."""
    for reason, sha256 in spool.quarantine.waiting():
        if reason not in ACKNOWLEDGED:
            continue
        file, document = spool.quarantine.files(reason, sha256)
        try:
            entry = parse_entry(document.read_bytes(), source=document.name)
            received_at = file.stat().st_mtime
        except (OSError, IsocenterError):
            continue
        uid = entry.sop_instance_uid
        again = (
            not row.place or (spool.volume / row.place).exists()
            for row in index.versions(uid)
            if row.sha256 == sha256
        )
        if uid and not any(again):
            index.set_aside(uid, sha256, entry.batch, received_at)
