"""The door as the settings want it."""

import logging
from collections.abc import Sequence

from isocenter.storescp.association.negotiation import Acceptance
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.front import descriptors
from isocenter.storescp.front.door import Door, Serve
from isocenter.storescp.front.limits import Limits
from isocenter.storescp.front.listening import Listener
from isocenter.storescp.front.tls import Certificates
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.workers.board import Board

log = logging.getLogger(__name__)


def acceptance(settings: StoreScpSettings) -> Acceptance:
    """Who and what is accepted."""
    return Acceptance(
        called_ae_titles=frozenset({settings.ae_title, *settings.called_ae_titles}),
        allowed_peers=settings.allowed_peers,
        private_sop_classes=settings.accept_private_sop_classes,
        commitment=settings.commitment != "off",
        max_pdu=settings.pdu_bytes,
        max_operations=settings.max_operations_performed,
    )


def limits(settings: StoreScpSettings) -> Limits:
    """How many connections and associations there may be."""
    reserved = descriptors.of_associations(
        settings.maximum_associations, settings.max_operations_performed
    )
    return Limits(
        pending=descriptors.room(settings.maximum_pending, reserved),
        pending_per_peer=settings.maximum_pending_per_peer,
        associations=settings.maximum_associations,
        associations_per_peer=settings.maximum_associations_per_peer,
        artim_s=settings.artim_timeout,
    )


def certificates(settings: StoreScpSettings) -> Certificates | None:
    """The TLS files, if there are.

    Raises:
        ConfigurationError: naming the setting whose file can't be used.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return Certificates(
        settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file
    )


def door(
    settings: StoreScpSettings,
    listeners: Sequence[Listener],
    *,
    serve: Serve,
    registry: Registry,
    board: Board | None = None,
) -> Door:
    """A door that is not open yet.

    Raises:
        ConfigurationError: naming the setting whose file can't be used.
    """
    if not settings.allowed_peers:
        log.warning("nobody may call: STORESCP_ALLOWED_PEERS is empty")
    return Door(
        listeners,
        acceptance=acceptance(settings),
        limits=limits(settings),
        serve=serve,
        registry=registry,
        certificates=certificates(settings),
        board=board,
    )
