"""From the settings to what takes instances and keeps them: the store's parts."""

import time
from dataclasses import dataclass
from typing import Self

from isocenter.core.errors import ConfigurationError
from isocenter.storescp import metrics
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.store.backlog import Backlog
from isocenter.storescp.store.batcher import Batcher
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.index import Index
from isocenter.storescp.store.keeper import Keeper
from isocenter.storescp.store.receiver import Receiver
from isocenter.storescp.store.recovery import recover
from isocenter.storescp.store.spool import BATCH, Spool
from isocenter.storescp.store.watermark import Limits, Watermark
from isocenter.storescp.upload.instances import InstanceObjects
from isocenter.storescp.upload.uploader import Uploader

_STALE_S = 300.0
INDEX = "index.sqlite"


def destination(settings: StoreScpSettings) -> Destination:
    """Where batches go that are opened from now on."""
    return Destination(
        bucket=settings.bucket,
        datastore=settings.datastore_id,
        dicom_prefix=settings.dicom_prefix,
        batches_prefix=settings.batches_prefix,
        metadata_prefix=settings.metadata_prefix if settings.create_metadata else None,
        add_studyuid_prefix=settings.add_studyuid_prefix,
        gzip=settings.gzip_files,
    )


def batch_limits(settings: StoreScpSettings) -> BatchLimits:
    """When a batch is closed."""
    return BatchLimits(
        quiet_s=settings.batch_quiet_s,
        max_age_s=settings.batch_max_age_s,
        max_instances=settings.batch_max_instances,
        max_bytes=settings.batch_max_bytes,
    )


def watermarks(settings: StoreScpSettings) -> Limits:
    """How full the volume may become."""
    most = settings.spool_max_bytes
    return Limits(
        min_free_bytes=settings.spool_min_free_bytes,
        resume_free_bytes=settings.resume_free_bytes,
        # Each worker counts its own.
        max_bytes=None if most is None else most // settings.workers,
    )


@dataclass(frozen=True)
class Reception:
    """What takes instances, and what holds them until S3 has them."""

    settings: StoreScpSettings
    index: Index
    spool: Spool
    backlog: Backlog
    batcher: Batcher
    watermark: Watermark
    receiver: Receiver

    @classmethod
    def build(cls, settings: StoreScpSettings, uploader: Uploader, worker: int) -> Self:
        """Make the parts; the index is opened, nothing else of the volume is used.

        Raises:
            ConfigurationError: the volume can't be used.
        """
        index = _open_index(settings)
        spool = Spool(settings.spool_dir, destination(settings), worker, index=index)
        backlog = Backlog(spool)
        batcher = Batcher(spool, batch_limits(settings), backlog)
        watermark = Watermark(
            settings.spool_dir, watermarks(settings), lambda: spool.usage.bytes
        )
        objects = InstanceObjects(
            uploader, spool.incoming, gzip_level=settings.gzip_level, patient=True
        )
        keeper = Keeper(spool, batcher, index, objects, durability=settings.durability)
        spool.quarantine.max_bytes = settings.quarantine_max_bytes
        receiver = Receiver(spool, keeper, watermark)
        return cls(settings, index, spool, backlog, batcher, watermark, receiver)

    def start(self) -> None:
        """Take over what is on the volume.

        Raises:
            ConfigurationError: the volume can't be used, or is another process's.
        """
        self.spool.prepare()
        recover(
            self.spool,
            self.batcher,
            self.backlog,
            self.index,
            workers=self.settings.workers,
        )

    def tick(self) -> None:
        """What has to be done from time to time.

        Raises:
            OSError: the volume's.
        """
        self.batcher.tick()
        patience = 2 * max(self.settings.network_timeout, self.settings.dimse_timeout)
        self.spool.remove_stale(time.time() - _STALE_S - patience)
        metrics.SPOOL_REFUSING.set(self.watermark.is_full())

    def problem(self) -> str | None:
        """What stands in the way of taking instances, or None."""
        try:
            full = self.watermark.is_full()
        except OSError as error:
            return f"the spool volume can't be used: {error.strerror}"
        return "the spool volume is nearly full" if full else None

    def oldest_s(self) -> float:
        """Age of the oldest batch on the volume, in seconds; 0 if there is none."""
        try:
            oldest = next(iter(self.spool.batches()), None)
            if oldest is None:
                return 0.0
            made = (self.spool.root / oldest / BATCH).stat().st_mtime
        except OSError:  # sealed just now, or the volume is away
            return 0.0
        return max(0.0, time.time() - made)

    def close(self, *, release: bool = True) -> None:
        """End.

        Args:
            release: whether another process may have the worker's folder now. While
                somebody still writes there it may not: what he puts into a batch that
                the other one seals would be removed with it. The kernel gives the
                folder back when this process ends.
        """
        self.index.close()
        if release:
            self.spool.release()


def _open_index(settings: StoreScpSettings) -> Index:
    try:
        settings.spool_dir.mkdir(parents=True, exist_ok=True)
        return Index(settings.spool_dir / INDEX, days=settings.index_days)
    except OSError as error:
        raise ConfigurationError(
            f"STORESCP_SPOOL_DIR: {settings.spool_dir} can't be used: {error.strerror}"
        ) from error
