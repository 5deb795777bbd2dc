"""Sends a report on an association of our own, by pynetdicom.

The roles are turned round in it (PS3.4 J.3.3, PS3.7 D.3.3.4): we ask for the
association and for the SCP role in it. Its calling AE title is the one that the peer
asked for commitment: modalities take a report from no other.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_role

from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.storescp.commitment.addresses import ReportAddress
from isocenter.storescp.commitment.standard import SOP_CLASS, SOP_INSTANCE

_CONNECT_S = 10.0
_ANSWER_S = 30.0


class NotReportedError(IsocenterError):
    """The peer did not take the report; try again later."""

    retryable = True


class Reporter(Protocol):
    """Sends reports to addresses."""

    def send(
        self,
        address: ReportAddress,
        *,
        calling_ae: str,
        called_ae: str,
        event_type: int,
        information: Dataset,
    ) -> None:
        """Send one report and wait for its answer.

        Raises:
            NotReportedError: there was no association, or no success.
        """


class AssociatingReporter:
    """Sends each report on an association of its own.

    Args:
        tls: makes the context for a peer that wants TLS; called for each report, so
            that a renewed certificate is used.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls

    def send(
        self,
        address: ReportAddress,
        *,
        calling_ae: str,
        called_ae: str,
        event_type: int,
        information: Dataset,
    ) -> None:
        """See ``Reporter.send``."""
        entity = ApplicationEntity(calling_ae)
        entity.connection_timeout = _CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_S
        entity.add_requested_context(
            SOP_CLASS, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        )
        where = f"{address.host}:{address.port}"
        try:
            tls = (self._tls(), address.host) if address.tls else None
            assoc = entity.associate(
                address.host,
                address.port,
                ae_title=called_ae,
                ext_neg=[build_role(SOP_CLASS, scp_role=True)],
                tls_args=tls,
            )
        except (OSError, ValueError, RuntimeError, ConfigurationError) as error:
            raise NotReportedError(f"no association with {where}: {error}") from error
        if not assoc.is_established:
            reason = "refused" if assoc.is_rejected else "no connection, or no TLS"
            raise NotReportedError(f"no association with {where}: {reason}")
        try:
            answer, _ = assoc.send_n_event_report(
                information, event_type, SOP_CLASS, SOP_INSTANCE
            )
        except (ValueError, RuntimeError) as error:  # no context accepted, or it ended
            raise NotReportedError(f"no report to {where}: {error}") from error
        finally:
            if assoc.is_established:
                assoc.release()
        status = answer.get("Status")
        if status is None:
            raise NotReportedError(f"{where} did not answer the report")
        if status != 0:
            raise NotReportedError(f"{where} answered the report by {status:04X}")


def client_context(
    cert: Path | None, key: Path | None, authorities: Path | None
) -> ssl.SSLContext:
    """TLS as the asking side: BCP 195 (RFC 9325), as PS3.15 B.12 asks.

    Args:
        cert: PEM chain that we show, if the peer asks for one.
        key: its private key.
        authorities: PEM file of those whose certificates are believed; None for the
            system's.

    Raises:
        ConfigurationError: a file can't be used.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if authorities is not None:
            context = ssl.create_default_context(cafile=authorities)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert is not None and key is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"TLS of STORESCP_COMMITMENT_PEERS: a certificate can't be used: {error}"
        ) from error
    return context
