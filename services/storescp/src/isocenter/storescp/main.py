"""The Store SCP process: everything is made here, once, and stopped here.

Ready means: it can take instances safely. That does not need S3: while S3 is away
instances are acknowledged and wait on the volume, and the process becomes unready
only when the volume runs out of room (or when it is told to stop).
"""

import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from isocenter.core import aws, health
from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.settings import load
from isocenter.storescp import metrics
from isocenter.storescp.batcher import Batcher
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.drain import Drain
from isocenter.storescp.entity import Entity, configure_libraries
from isocenter.storescp.receive import Receiver
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.spool import Destination, Spool
from isocenter.storescp.store import StoreHandler
from isocenter.storescp.uploader import Uploader
from isocenter.storescp.work import WorkQueue

log = logging.getLogger(__name__)

_TICK_S = 0.5
_STALLED_S = 60.0
_STALE_S = 300.0


@dataclass(frozen=True)
class Process:
    """The parts of a running Store SCP."""

    settings: StoreScpSettings
    spool: Spool
    work: WorkQueue
    batcher: Batcher
    drain: Drain
    entity: Entity
    stopping: threading.Event

    @classmethod
    def build(cls, settings: StoreScpSettings, s3: Any) -> Self:
        """Make the parts; nothing runs yet.

        Args:
            settings: of the process.
            s3: a boto3 S3 client.

        Raises:
            ConfigurationError: a setting can't be used.
        """
        spool = Spool(
            settings.spool_dir,
            Destination(
                bucket=settings.bucket,
                datastore=settings.datastore_id,
                dicom_prefix=settings.dicom_prefix,
                batches_prefix=settings.batches_prefix,
                metadata_prefix=(
                    settings.metadata_prefix if settings.create_metadata else None
                ),
            ),
        )
        work = WorkQueue()
        limits = BatchLimits(
            quiet_s=settings.batch_quiet_s,
            max_age_s=settings.batch_max_age_s,
            max_instances=settings.batch_max_instances,
            max_bytes=settings.batch_max_bytes,
        )
        batcher = Batcher(spool, limits, work)
        uploader = Uploader(s3, multipart_bytes=settings.multipart_bytes)
        receiver = Receiver(
            spool, batcher, min_free_bytes=settings.spool_min_free_bytes
        )
        return cls(
            settings=settings,
            spool=spool,
            work=work,
            batcher=batcher,
            drain=Drain(
                spool, batcher, work, uploader, threads=settings.upload_threads
            ),
            entity=Entity(settings, StoreHandler(receiver)),
            stopping=threading.Event(),
        )

    def start(self) -> None:
        """Take over what is on the volume, then listen.

        Raises:
            ConfigurationError: the volume or a port can't be used.
        """
        self.spool.prepare()
        configure_libraries(self.spool.incoming)
        metrics.SPOOL_FREE_BYTES.set_function(self.spool.free_bytes)
        metrics.TASKS_WAITING.set_function(lambda: len(self.work))
        metrics.ASSOCIATIONS_ACTIVE.set_function(lambda: len(self.entity.active()))
        self.batcher.recover()
        self.drain.start()
        self.entity.start()

    def tick(self) -> None:
        """What has to be done from time to time."""
        self.batcher.tick()
        stale = _STALE_S + 2 * self.settings.network_timeout_s
        self.spool.remove_stale(time.time() - stale)

    def ready(self) -> str | None:
        """What stands in the way of taking instances, or None."""
        if self.stopping.is_set():
            return "stopping"
        if not self.entity.listening():
            return "not listening"
        if self.spool.free_bytes() < self.settings.spool_min_free_bytes:
            return "the spool volume is nearly full (STORESCP_SPOOL_MIN_FREE_BYTES)"
        return None

    def alive(self) -> str | None:
        """What only a restart can mend, or None."""
        return None if self.drain.alive() else "an upload thread died"

    def stop(self) -> bool:
        """End within the grace time; what is not in S3 by then stays on the volume.

        Returns:
            Whether S3 has everything.
        """
        self.stopping.set()
        grace = self.settings.shutdown_grace_s
        deadline = time.monotonic() + grace
        self.entity.stop_listening()
        if not self.entity.finish(grace / 2):
            log.warning("associations aborted: they did not end in time")
        self.batcher.close()
        drained = self.drain.stop(max(0.0, deadline - time.monotonic()))
        if not drained:
            log.warning(
                "stopped with %d objects on the volume; the next start puts them to S3",
                len(self.work),
            )
        self.spool.release()
        return drained


def run(process: Process) -> None:
    """Run until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stopping.set())
    last_tick: float | None = None

    def alive() -> str | None:
        if last_tick is None:
            return None  # taking over a long backlog is no reason to start again
        stalled = time.monotonic() - last_tick
        if stalled > _STALLED_S and not process.stopping.is_set():
            return f"the main loop stands still since {stalled:.0f} s"
        return process.alive()

    server = health.HealthServer(
        process.settings.health_port, alive=alive, ready=process.ready
    )
    process.start()
    while not process.stopping.wait(_TICK_S):
        try:
            process.tick()
        except OSError as error:
            log.warning("volume not usable", extra={"error": str(error)})
        last_tick = time.monotonic()
    log.info("stopping")
    process.stop()
    server.close()
    log.info("stopped")


def main() -> int:
    """Console script ``isocenter-storescp``; 2 if a setting is wrong."""
    logs.configure("storescp")
    try:
        settings = load(StoreScpSettings)
        logs.configure("storescp", settings.log_level)
        s3 = aws.client("s3", pool=settings.upload_threads + 2)
        run(Process.build(settings, s3))
    except ConfigurationError as error:
        log.error("can't start", extra={"error": str(error)})  # noqa: TRY400 - the text says it all
        return ServiceExit.CONFIGURATION
    return ServiceExit.STOPPED


if __name__ == "__main__":
    sys.exit(main())
