"""How a process serves: alone with its own health port, or as one of several."""

import logging
import os
import signal
import time
from collections.abc import Callable

from prometheus_client import generate_latest

from isocenter.core import aws
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.health import HealthServer, Probe
from isocenter.storescp.front.listening import Listener
from isocenter.storescp.ports import open_ports
from isocenter.storescp.process import TICK_S, Process, Seat
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.upload.uploader import Uploader
from isocenter.storescp.workers.board import LoneBoard
from isocenter.storescp.workers.line import answer_parent
from isocenter.storescp.workers.place import Place

log = logging.getLogger(__name__)

_STALLED_S = 60.0
Close = Callable[[], None]
Expose = Callable[[Probe, Probe], Close]
"""Answers probes by two functions, alive and ready, until what it returns is called."""


def serve_alone(settings: StoreScpSettings) -> ServiceExit:
    """Serve as the only process.

    Raises:
        ConfigurationError: a setting can't be used.
    """

    def expose(alive: Probe, ready: Probe) -> Close:
        return HealthServer(settings.health_port, alive=alive, ready=ready).close

    seat = Seat(number=0, board=LoneBoard(), listen=lambda: open_ports(settings))
    run(_build(settings, seat), expose)
    return ServiceExit.STOPPED


def serve_as_worker(settings: StoreScpSettings, place: Place) -> ServiceExit:
    """Serve with what the parent process gave; ends when that does.

    Raises:
        ConfigurationError: a setting can't be used.
    """
    line = place.open_line()

    def expose(alive: Probe, ready: Probe) -> Close:
        answer_parent(
            line,
            {
                "alive": lambda: alive() or "",
                "ready": lambda: ready() or "",
                "metrics": lambda: generate_latest().decode(),
            },
            lambda: os.kill(os.getpid(), signal.SIGTERM),
        )
        return lambda: None

    listeners = [Listener(sock, tls) for sock, tls in place.open_listeners()]
    seat = Seat(number=place.number, board=place.open_board(), listen=lambda: listeners)
    run(_build(settings, seat), expose)
    return ServiceExit.STOPPED


def _build(settings: StoreScpSettings, seat: Seat) -> Process:
    pool = settings.boto_max_pool_connections
    s3 = aws.client("s3", pool=pool)
    uploader = Uploader.connect(
        s3=s3, pool=pool, multipart_bytes=settings.multipart_bytes
    )
    return Process.build(settings, s3, uploader, seat)


def run(process: Process, expose: Expose) -> None:
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

    close = expose(alive, process.ready)
    process.start()
    while not process.stopping.wait(TICK_S):
        try:
            process.tick()
        except OSError as error:
            log.warning("volume not usable", extra={"error": str(error)})
        last_tick = time.monotonic()
    log.info("stopping")
    process.stop()
    close()
    log.info("stopped")
