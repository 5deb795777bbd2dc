"""The application entity: pynetdicom's configuration, servers and associations.

Only this module and ``store`` know pynetdicom.
"""

import gc
import logging
import socketserver
import ssl
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pydicom.config
from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from isocenter.core.errors import ConfigurationError
from isocenter.storescp import metrics
from isocenter.storescp.connection import Connection
from isocenter.storescp.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.store import StoreHandler
from isocenter.storescp.tls import server_context

log = logging.getLogger(__name__)

_ACSE_TIMEOUT_S = 30
_POLL_S = 0.1
_COLLECT_S = 30.0


def configure_libraries(incoming: Path) -> None:
    """Set pynetdicom's and pydicom's process-wide switches, once, before any server.

    Args:
        incoming: folder on the spool's volume for data sets being received.
    """
    # Data sets go to files as they come, neither decoded nor held in memory, ...
    _config.STORE_RECV_CHUNKED_DATASET = True
    # ... which pynetdicom makes with tempfile and without naming a folder.
    tempfile.tempdir = str(incoming)
    # Any storage, private or newer than pynetdicom, in any transfer syntax.
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    # Its own event logs format every PDU, and could print a peer's identifiers.
    _config.LOG_HANDLER_LEVEL = "none"
    # pydicom's texts quote the values it stumbles over.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    # The command's UIDs are checked by us; a warning here would help nobody.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


class _Server(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom is not followed by mypy, so its classes are Any
    """Accepts connections without letting one of them hold up the others.

    pynetdicom's server does the TLS handshake in its accept loop and gives accepted
    sockets no time-out: a peer that connects and says nothing would stop all
    reception. Here the handshake is made in the connection's own thread.
    """

    daemon_threads = True
    request_queue_size = 128
    tls: ssl.SSLContext | None = None
    timeout_s: float = 60.0
    _collected = 0.0

    def get_request(self) -> Any:
        """One accepted connection, not yet secured."""
        accepted, address = super().get_request()
        connection = Connection(fileno=accepted.detach())
        connection.settimeout(self.timeout_s)
        connection.keep_alive()
        return connection, address

    def service_actions(self) -> None:
        """Collect ended associations now and then, as pynetdicom does."""
        if time.monotonic() - self._collected > _COLLECT_S:
            gc.collect()
            self._collected = time.monotonic()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Secure a connection and hand it to an association."""
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError as error:
                metrics.ASSOCIATIONS.labels("tls_failed").inc()
                log.warning(
                    "TLS handshake failed",
                    extra={"peer": client_address[0], "error": str(error)},
                )
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def stop(self) -> None:
        """Stop accepting and close the listening socket.

        Not pynetdicom's ``shutdown``: that one wants the server in its AE's own list.
        """
        socketserver.BaseServer.shutdown(self)
        self.server_close()


def application_entity(settings: StoreScpSettings) -> ApplicationEntity:
    """The entity's identity, limits, and what it takes beside storage."""
    entity = ApplicationEntity(settings.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_associations = settings.max_associations
    entity.maximum_pdu_size = settings.max_pdu
    entity.network_timeout = settings.network_timeout_s
    entity.acse_timeout = _ACSE_TIMEOUT_S
    entity.add_supported_context(Verification)
    return entity


class Entity:
    """The SCP's ports and associations.

    Args:
        settings: ports, TLS files, limits.
        handler: answers C-STORE.

    Raises:
        ConfigurationError: a certificate can't be used.
    """

    def __init__(self, settings: StoreScpSettings, handler: StoreHandler) -> None:
        self._settings = settings
        self._handler = handler
        self._servers: list[tuple[_Server, threading.Thread]] = []
        self._tls: ssl.SSLContext | None = None
        if settings.tls_cert_file and settings.tls_key_file:
            self._tls = server_context(
                settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file
            )
        self._ae = application_entity(settings)

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: a port can't be bound.
        """
        if self._tls is not None:
            self._listen("STORESCP_TLS_PORT", self._settings.tls_port, self._tls)
        if self._settings.plain_port is not None:
            self._listen("STORESCP_PLAIN_PORT", self._settings.plain_port, None)

    def _listen(self, setting: str, port: int, tls: ssl.SSLContext | None) -> None:
        handlers = [
            (evt.EVT_C_ECHO, _echo),
            (evt.EVT_C_STORE, self._handler),
            (evt.EVT_ESTABLISHED, _counted_as("accepted")),
            (evt.EVT_REJECTED, _counted_as("rejected")),
            (evt.EVT_RELEASED, _counted_as("released")),
            (evt.EVT_ABORTED, _counted_as("aborted")),
            (evt.EVT_CONN_CLOSE, _give_up_waiting),
        ]
        try:
            server = self._ae.make_server(
                (self._settings.listen_address, port),
                evt_handlers=handlers,
                server_class=_Server,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{setting}: can't listen on {self._settings.listen_address}"
                f" port {port}: {error.strerror}"
            ) from error
        server.tls = tls
        server.timeout_s = self._settings.network_timeout_s
        thread = threading.Thread(
            target=server.serve_forever,
            kwargs={"poll_interval": _POLL_S},
            name=f"accept-{port}",
            daemon=True,
        )
        thread.start()
        self._servers.append((server, thread))
        log.info("listening on port %d, %s", port, "TLS" if tls else "no TLS")

    def listening(self) -> bool:
        """Whether every port takes connections."""
        return bool(self._servers) and all(t.is_alive() for _, t in self._servers)

    def active(self) -> list[Any]:
        """The associations of now."""
        return list(self._ae.active_associations)

    def stop_listening(self) -> None:
        """Take no more associations; those that run go on."""
        for server, thread in self._servers:
            server.stop()
            thread.join()
        self._servers.clear()

    def finish(self, timeout_s: float) -> bool:
        """Wait for the associations to end, then abort those that have not.

        Returns:
            Whether all ended by themselves.
        """
        deadline = time.monotonic() + timeout_s
        while self.active() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = self.active()
        for assoc in left:
            assoc.abort(block=False)
        return not left


def _echo(_event: Any) -> int:
    """C-ECHO (PS3.4 A): always success."""
    return 0x0000


def _give_up_waiting(event: Any) -> None:
    """End an association whose peer left before it asked for anything.

    Load balancers and probes connect and close. pynetdicom would go on waiting for
    the request until its time-out, and count the association against the limit.
    """
    if event.assoc.requestor.primitive is None:
        event.assoc.dul.to_user_queue.put(None)


def _counted_as(outcome: str) -> Any:
    """A notification handler that counts and logs what became of an association."""

    def notify(event: Any) -> None:
        metrics.ASSOCIATIONS.labels(outcome).inc()
        requestor = event.assoc.requestor
        log.info(
            "association %s",
            outcome,
            extra={
                "calling_ae": str(requestor.ae_title).strip(),
                "peer": requestor.address,
                "assoc_id": event.assoc.native_id,
            },
        )

    return notify
