"""/healthz, /readyz and /metrics for processes that serve no HTTP of their own."""

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = logging.getLogger(__name__)

_IDLE_S = 10
"""A connection that says nothing for so long is closed: each holds a thread."""
Probe = Callable[[], str | None]
"""Answers None when all is well, else what is wrong."""


def _always_well() -> str | None:
    return None


class HealthServer:
    """Serves the three endpoints from a thread until ``close``.

    Args:
        port: TCP port, 0 for any free one (then read ``port``).
        alive: asked by /healthz; a text means the process should be restarted.
        ready: asked by /readyz; a text means it can't do its work now.
    """

    def __init__(
        self, port: int, *, alive: Probe = _always_well, ready: Probe = _always_well
    ) -> None:
        probes = {"/healthz": alive, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_S

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, generate_latest(), CONTENT_TYPE_LATEST)
                    return
                probe = probes.get(self.path)
                if probe is None:
                    self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")
                    return
                problem = probe()
                status = HTTPStatus.OK if problem is None else 503
                body = f"{problem or 'ok'}\n".encode()
                self._answer(HTTPStatus(status), body, "text/plain; charset=utf-8")

            def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Probes come every few seconds: they are not logged."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
