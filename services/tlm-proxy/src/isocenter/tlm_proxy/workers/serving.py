"""How a process serves: alone, or as one of several under uvicorn's supervisor."""

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError
from isocenter.core.exposition import expose_workers
from isocenter.core.health import HealthServer
from isocenter.core.settings import load
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.http.edge import Edge
from isocenter.tlm_proxy.http.immediate import ImmediateProtocol
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.workers.exposition import ask, readiness
from isocenter.tlm_proxy.workers.place import Place, Workers

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 75
"""Longer than the 60 s after which AWS's load balancers drop idle connections."""
_BACKLOG = 2048
_LONGEST_FOLDER = 100
"""Bytes of the folder's path: a socket's may have 107 (unix(7))."""


def server_config(
    app: object, settings: Settings, *, factory: bool = False
) -> uvicorn.Config:
    """uvicorn, set up as the proxy needs it."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application, or what makes one
        factory=factory,
        host="",
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http=ImmediateProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        # The client's address is not used, so nobody need tell it.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )


def serve_alone(context: ProcessContext) -> bool:
    """Serve until SIGTERM, then drain; False if it could not begin."""
    settings = context.settings
    # uvicorn raises the signal again once it has drained: that is the end, not
    # a death.
    signal.signal(signal.SIGTERM, lambda *_: None)
    health = HealthServer(settings.health_port, ready=context.problem)
    server = uvicorn.Server(server_config(create_app(context), settings))
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    finally:
        health.close()
    return server.started


def serve_together(settings: Settings) -> bool:
    """Supervise ``settings.workers`` processes until SIGTERM; then all drain.

    A worker that dies is replaced. False if one could not begin.

    Raises:
        ConfigurationError: ``workers_folder`` or the port can't be used.
    """
    with _folder(settings.workers_folder) as folder, _listen(settings.port) as listener:
        # It says when a worker died.
        logging.getLogger("uvicorn.error").setLevel(logging.INFO)
        workers = Workers(folder, settings.workers)
        expose_workers(partial(ask, workers, "/metrics"))
        health = HealthServer(settings.health_port, ready=partial(readiness, workers))
        config = server_config(partial(worker_app, workers), settings, factory=True)
        supervisor = Multiprocess(config, sockets=[listener])
        try:
            supervisor.run()
        finally:
            health.close()
        return all(
            process.exitcode != STARTUP_FAILURE for process in supervisor.processes
        )


def worker_app(workers: Workers) -> Edge:
    """The application of one worker; called in its own, new process."""
    logs.configure("tlm-proxy")
    try:
        settings = load(Settings)
        logs.configure("tlm-proxy", settings.log_level)
        context = ProcessContext.build(settings, Metrics(), Place.take(workers))
        return create_app(context)
    except ConfigurationError as error:
        log.error("%s", error)  # noqa: TRY400 - the text says it all
        sys.exit(STARTUP_FAILURE)


@contextmanager
def _folder(parent: str) -> Iterator[Path]:
    """A folder that only this user may enter."""
    try:
        made = tempfile.TemporaryDirectory(prefix="tlm-proxy-", dir=parent)
    except OSError as error:
        raise ConfigurationError(
            f"TLM_PROXY_WORKERS_FOLDER: no folder can be made in {parent}: "
            f"{error.strerror}"
        ) from error
    with made as folder:
        if len(os.fsencode(folder)) > _LONGEST_FOLDER:
            raise ConfigurationError(
                f"TLM_PROXY_WORKERS_FOLDER: {parent} is too long for sockets in it"
            )
        yield Path(folder)


def _listen(port: int) -> socket.socket:
    """The port, for IPv4 and where possible IPv6; each worker accepts from it."""
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port),
                family=socket.AF_INET6,
                dualstack_ipv6=True,
                backlog=_BACKLOG,
            )
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"TLM_PROXY_PORT: {port} can't be listened on: {error.strerror}"
        ) from error
