"""A service of several worker processes, from its start to its end."""

import logging
import signal
import threading
import time
from functools import partial

from isocenter.core.exit_codes import ServiceExit
from isocenter.core.exposition import expose_workers, readiness
from isocenter.core.health import HealthServer
from isocenter.storescp.ports import open_ports
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

_TICK_S = 0.1
_STALLED_S = 60.0
_MORE_GRACE_S = 15.0
"""Beyond its own grace time, before a worker is killed."""


def serve_together(settings: StoreScpSettings) -> ServiceExit:
    """Run ``settings.workers`` processes until SIGTERM or SIGINT; then all drain.

    Raises:
        ConfigurationError: a port can't be used.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    listeners = [(each.socket, each.tls) for each in open_ports(settings)]
    supervisor = Supervisor(listeners, settings.workers)
    last_tick = time.monotonic()

    def alive() -> str | None:
        stalled = time.monotonic() - last_tick
        if stalled > _STALLED_S and not stopping.is_set():
            return f"the parent process stands still since {stalled:.0f} s"
        return None

    def ready() -> str | None:
        return "stopping" if stopping.is_set() else readiness(supervisor.ask("ready"))

    expose_workers(partial(supervisor.ask, "metrics"))
    health = HealthServer(settings.health_port, alive=alive, ready=ready)
    unusable: int | None = None
    while unusable is None and not stopping.wait(_TICK_S):
        unusable = supervisor.tick()
        last_tick = time.monotonic()
    stopping.set()
    log.info("stopping")
    orderly = supervisor.stop(settings.shutdown_grace_s + _MORE_GRACE_S)
    health.close()
    supervisor.close()
    log.info("stopped")
    if unusable is not None:
        return ServiceExit.CONFIGURATION
    return ServiceExit.STOPPED if orderly else ServiceExit.FAILED
