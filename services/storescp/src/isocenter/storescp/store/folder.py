"""A batch's folder in use: what it needs in memory, whatever its size."""

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.storescp.store import durable
from isocenter.storescp.store.journal import Journal
from isocenter.storescp.store.reserve import Reserve

if TYPE_CHECKING:
    from isocenter.storescp.store.destination import Destination

log = logging.getLogger(__name__)


class BatchFolder:
    """One batch's folder; safe for threads.

    Args:
        path: of the folder.

    Attributes:
        destination: of the batch, once it was read.
        sync: makes its names durable, for many threads at once.
        journal: its ``put.jsonl``.
        opened_here: whether this process made it; else a dead one did.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.destination: Destination | None = None
        self.sync = durable.Grouped(partial(durable.sync_folder, str(path)))
        self.journal = Journal(path)
        self.opened_here = False
        self._not_retracted: set[str] = set()

    def retract(self, name: str, reserve: Reserve) -> None:
        """S3 does not have an object that was noted early."""
        try:
            reserve.within(lambda: self.journal.retract(name))
        except OSError as error:  # then S3 is asked, before the manifest says it
            self._not_retracted.add(name)
            log.warning("volume not usable", extra={"error": str(error)})

    def doubtful(self) -> set[str]:
        """Names of instances that S3 may not have, though put.jsonl has them."""
        early = self.journal.early()
        return early & self._not_retracted if self.opened_here else early
