"""The workers' metrics and readiness, asked over their sockets."""

import socket
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from isocenter.core.exposition import WorkersCollector
from isocenter.core.exposition import readiness as readiness_of
from isocenter.tlm_proxy.workers.place import Workers

_TIMEOUT_S = 2.0
_ANSWERS = (200, 503)
"""Well, and not well: then the answer says why."""


class _UnixConnection(HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("worker", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(str(self._path))


def ask(workers: Workers, url: str) -> Iterator[tuple[int, str]]:
    """The number of each worker that answers in time, and its answer."""
    for number in range(workers.count):
        answer = _get(workers.socket(number), url)
        if answer is not None:
            yield number, answer


def exposition(workers: Workers) -> bytes:
    """Prometheus's text format; waits for the workers, so call it in a thread."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(partial(ask, workers, "/metrics")))
    return generate_latest(registry)


def readiness(workers: Workers) -> str | None:
    """Why none of the workers can do its work now; None if one can."""
    return readiness_of(ask(workers, "/readyz"))


def _get(path: Path, url: str) -> str | None:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", url)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return text if response.status in _ANSWERS else None
