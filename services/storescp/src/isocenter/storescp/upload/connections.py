"""Kept-alive connections that wait for their next request."""

import ssl
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from isocenter.storescp.upload.http_connection import Answer, HttpConnection, TornError
from isocenter.storescp.upload.sigv4 import Route

_IDLE_S: Final = 20.0
"""Connections idle for longer are not used again: S3 closes them about then."""


class Connections:
    """Idle connections by route; safe for threads.

    Args:
        ca_file: PEM file of the authorities that an https endpoint is trusted by.
        timeout_s: without progress, after which a request counts as torn.
        keep: idle connections kept for each route.
    """

    def __init__(self, ca_file: Path | str, *, timeout_s: float, keep: int) -> None:
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._keep = keep
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[Route, deque[HttpConnection]] = {}
        self._lock = threading.Lock()

    def send_file(self, route: Route, head: bytes, file: int, length: int) -> Answer:
        """Send a file on an idle connection or a new one.

        A connection that the peer closed while it was idle is not told from a good
        one until it is used: then a new one is tried at once.

        Raises:
            TornError: no connection, no TLS, or as ``HttpConnection.send_file``.
            OSError: the file can't be read.
        """
        while True:
            connection = self._taken(route) or self._connected(route)
            try:
                return connection.send_file(head, file, length)
            except TornError as error:
                if not error.stale:
                    raise
            finally:
                self._give_back(route, connection)

    def _connected(self, route: Route) -> HttpConnection:
        context = self._context() if route.tls else None
        try:
            return HttpConnection(route, context, self._timeout_s)
        except OSError as error:
            where = f"{route.host} port {route.port}"
            raise TornError(f"no connection to {where}: {error}") from error

    def _taken(self, route: Route) -> HttpConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(route)
                if not idle:
                    return None
                connection = idle.pop()
            fresh = time.monotonic() - connection.idle_since < _IDLE_S
            if fresh and connection.quiet():
                return connection
            connection.close()

    def _give_back(self, route: Route, connection: HttpConnection) -> None:
        if connection.reusable:
            connection.idle_since = time.monotonic()
            with self._lock:
                idle = self._idle.setdefault(route, deque())
                if len(idle) < self._keep:
                    idle.append(connection)
                    return
        connection.close()

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context(cafile=str(self._ca_file))
            return self._tls

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle = [each for queue in self._idle.values() for each in queue]
            self._idle.clear()
        for connection in idle:
            connection.close()
