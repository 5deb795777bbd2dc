"""Entry point ``isocenter-tlm-proxy``: serve until SIGTERM, then drain."""

import logging
import signal
import sys
from contextlib import suppress

import uvicorn

from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError
from isocenter.core.health import HealthServer
from isocenter.core.settings import load
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 75
"""Longer than the 60 s after which AWS's load balancers drop idle connections."""


def main() -> None:
    """Serve; exit 2 if the settings are not usable, 0 after SIGTERM."""
    logs.configure("tlm-proxy")
    try:
        settings = load(Settings)
        logs.configure("tlm-proxy", settings.log_level)
        context = ProcessContext.build(settings, Metrics())
    except ConfigurationError as error:
        log.error("%s", error)  # noqa: TRY400 - the text says it all
        sys.exit(2)
    # uvicorn raises the signal again once it has drained: that is the end, not
    # a death.
    signal.signal(signal.SIGTERM, lambda *_: None)
    health = HealthServer(settings.health_port, ready=context.problem)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(context),
            host="",
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=settings.drain_s,
        )
    )
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    finally:
        health.close()
    if not server.started:
        sys.exit(1)
