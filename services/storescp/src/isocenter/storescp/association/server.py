"""What the door calls for each association that it let in."""

import logging
import socket
import threading

from isocenter.storescp import metrics
from isocenter.storescp.association.association import Association
from isocenter.storescp.association.negotiation import Negotiated
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.association.transport import transport
from isocenter.storescp.dimse.dispatch import Services

log = logging.getLogger(__name__)


class AssociationServer:
    """Serves associations, each in the thread that calls ``serve``.

    Args:
        services: who answers requests.
        patience: time limits for peers.
        registry: where running associations are listed.
    """

    def __init__(
        self, services: Services, patience: Patience, registry: Registry
    ) -> None:
        self._services = services
        self._patience = patience
        self._registry = registry

    def serve(self, sock: socket.socket, negotiated: Negotiated) -> None:
        """Serve an association, whose A-ASSOCIATE-AC was sent, to its end.

        Args:
            sock: plain or after its TLS handshake; closed afterwards.
            negotiated: what was agreed.
        """
        peer = negotiated.peer
        fields: dict[str, object] = {
            "calling_ae": peer.calling_ae,
            "peer": peer.address,
            "assoc_id": threading.get_native_id(),
        }
        metrics.ASSOCIATIONS.labels("accepted").inc()
        log.info("association accepted", extra=fields)
        patience = self._patience
        connection = transport(sock, tick_s=patience.tick_s, send_s=patience.send_s)
        association = Association(
            connection, negotiated, self._services, patience, fields
        )
        with self._registry.running(association):
            end = association.run()
        metrics.ASSOCIATIONS.labels(end.outcome).inc()
        summary: dict[str, object] = {
            "instances": association.instances,
            "bytes": association.bytes,
        }
        if end.reason:
            summary["reason"] = end.reason
        level = logging.INFO if end.outcome == "released" else logging.WARNING
        log.log(level, "association %s", end.outcome, extra=fields | summary)
