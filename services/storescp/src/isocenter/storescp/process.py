"""The Store SCP of one process: everything is made here, once, and stopped here.

Ready means: it can take instances safely. With durability ``spool`` that does not need
S3: while S3 is away instances are acknowledged and wait on the volume, and the process
becomes unready only when the volume runs out of room (or when it is told to stop).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from isocenter.storescp import libraries, metrics
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.association.server import AssociationServer
from isocenter.storescp.commitment import assembly as commitment
from isocenter.storescp.commitment.service import CommitmentService
from isocenter.storescp.dimse.dispatch import Services
from isocenter.storescp.front import opening
from isocenter.storescp.front.door import Door
from isocenter.storescp.front.listening import Listener
from isocenter.storescp.reception import Reception
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.shutdown import Shares
from isocenter.storescp.upload.drain import Drain
from isocenter.storescp.upload.uploader import Uploader
from isocenter.storescp.workers.board import Board

log = logging.getLogger(__name__)

TICK_S = 0.5
"""Between two calls of ``Process.tick``."""
_ABORT_S = 2.0


@dataclass(frozen=True)
class Seat:
    """What a process is given by whoever starts it.

    Attributes:
        number: of the worker, from 0; its folder on the volume is ``w<number>``.
        board: what the other workers do.
        listen: opens the ports, or has them open.
    """

    number: int
    board: Board
    listen: Callable[[], Sequence[Listener]]


@dataclass
class Process:
    """The parts of a running Store SCP."""

    settings: StoreScpSettings
    seat: Seat
    reception: Reception
    uploader: Uploader
    drain: Drain
    commitment: CommitmentService | None
    registry: Registry
    stopping: threading.Event
    door: Door | None = None

    @classmethod
    def build(
        cls, settings: StoreScpSettings, s3: Any, uploader: Uploader, seat: Seat
    ) -> Self:
        """Make the parts; nothing runs yet.

        Args:
            settings: of the process.
            s3: a boto3 S3 client.
            uploader: to the same S3.
            seat: where it sits.

        Raises:
            ConfigurationError: a setting can't be used.
        """
        reception = Reception.build(settings, uploader, seat.number)
        return cls(
            settings=settings,
            seat=seat,
            reception=reception,
            uploader=uploader,
            drain=Drain(
                reception.spool,
                reception.batcher,
                reception.backlog,
                uploader,
                threads=settings.upload_workers_each,
                quarantine_bucket=settings.bucket,
                quarantine_prefix=settings.quarantine_prefix,
                gzip_level=settings.gzip_level,
            ),
            commitment=commitment.build(
                settings, reception.spool.root, reception.index, s3
            ),
            registry=Registry(),
            stopping=threading.Event(),
        )

    def start(self) -> None:
        """Take over what is on the volume, then listen.

        Raises:
            ConfigurationError: the volume or a port can't be used.
        """
        libraries.configure()
        self.reception.start()
        self._measure()
        self.drain.start()
        if self.commitment is not None:
            self.commitment.start()
        server = AssociationServer(
            Services(
                store=self.reception.receiver,
                action=self.commitment,
                delay_s=self.settings.cstore_delay_ms / 1000,
            ),
            Patience(
                idle_s=self.settings.network_timeout,
                message_s=self.settings.dimse_timeout,
                pdu_s=self.settings.network_timeout,
                send_s=self.settings.network_timeout,
            ),
            self.registry,
        )
        self.door = opening.door(
            self.settings,
            self.seat.listen(),
            serve=server.serve,
            registry=self.registry,
            board=self.seat.board,
        )
        self.door.start()

    def _measure(self) -> None:
        metrics.SPOOL_FREE_BYTES.set_function(self.reception.spool.free_bytes)
        metrics.SPOOL_OLDEST_SECONDS.set_function(self.reception.oldest_s)
        metrics.SPOOL_BYTES.set_function(lambda: self.reception.spool.usage.bytes)
        metrics.TASKS_WAITING.set_function(lambda: len(self.reception.backlog))
        metrics.ASSOCIATIONS_ACTIVE.set_function(self.registry.total)

    def tick(self) -> None:
        """What has to be done from time to time."""
        self.reception.tick()

    def ready(self) -> str | None:
        """What stands in the way of taking instances, or None."""
        if self.stopping.is_set():
            return "stopping"
        if self.door is None or not self.door.listening():
            return "not listening"
        return self.reception.problem()

    def alive(self) -> str | None:
        """What only a restart can mend, or None."""
        if not self.drain.alive():
            return "an upload thread died"
        if self.commitment is not None and not self.commitment.alive():
            return "a thread of storage commitment died"
        return None

    def stop(self) -> bool:
        """End within the grace time; what is not in S3 by then stays on the volume.

        Returns:
            Whether S3 has everything.
        """
        self.stopping.set()
        shares = Shares.of(self.settings.shutdown_grace_s)
        began = time.monotonic()
        deadline = began + self.settings.shutdown_grace_s
        if self.door is not None:
            self.door.stop_accepting()
        if not self._released(began + shares.associations_s):
            self.registry.end_all(shares.last_s)
            log.warning("associations aborted: they did not end in time")
        if self.door is not None:
            self.door.close()
        self.reception.batcher.close()
        drained = self.drain.stop(max(0.0, deadline - time.monotonic()))
        if not drained:
            log.warning(
                "stopped with %d objects on the volume; the next start puts them to S3",
                len(self.reception.backlog),
            )
        if self.commitment is not None:
            self.commitment.stop(_ABORT_S)
        self.reception.close(release=self.registry.wait_empty(0.0))
        self.uploader.close()
        return drained

    def _released(self, deadline: float) -> bool:
        """Whether peers have released all associations; what is due is done meanwhile.

        Args:
            deadline: on the monotonic clock, for them.
        """
        while True:
            left = deadline - time.monotonic()
            if self.registry.wait_empty(max(0.0, min(TICK_S, left))):
                return True
            if left <= 0:
                return False
            try:
                self.tick()
            except OSError as error:
                log.warning("volume not usable", extra={"error": str(error)})
