"""Metrics and readiness of all workers, as those of one process."""

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from isocenter.tlm_proxy.workers.place import Workers

_TIMEOUT_S = 2.0
_OK = 200


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


class WorkersCollector(Collector):
    """The workers' metrics, each series with the label ``worker``.

    A series a worker, not a sum: a worker that begins anew begins at zero, which
    Prometheus sees as what it is only in a series of its own.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Ask each worker; one that doesn't answer is left out."""
        families: dict[str, Metric] = {}
        for number in range(self._workers.count):
            found = _get(self._workers.socket(number), "/metrics")
            if found is None:
                continue
            for family in text_string_to_metric_families(found[1]):
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    kept.add_sample(sample.name, labels, sample.value)
        yield from families.values()


def exposition(workers: Workers) -> bytes:
    """Prometheus's text format; waits for the workers, so call it in a thread."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(workers))
    return generate_latest(registry)


def readiness(workers: Workers) -> str | None:
    """Why none of the workers can do its work now; None if one can."""
    problem = "starting"
    for number in range(workers.count):
        found = _get(workers.socket(number), "/readyz")
        if found is not None:
            if found[0] == _OK:
                return None
            problem = found[1]
    return problem


def _get(path: Path, url: str) -> tuple[int, str] | None:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", url)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
