"""The Storage Commitment SCP of a process, put together from its settings."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from isocenter.storescp import metrics
from isocenter.storescp.commitment.addresses import parse_address
from isocenter.storescp.commitment.decision import Patience
from isocenter.storescp.commitment.delivery import Courier
from isocenter.storescp.commitment.imports import Imports
from isocenter.storescp.commitment.manifests import Manifests
from isocenter.storescp.commitment.objects import Objects
from isocenter.storescp.commitment.report_scu import AssociatingReporter, client_context
from isocenter.storescp.commitment.service import CommitmentService, Terms
from isocenter.storescp.commitment.transactions import Transactions
from isocenter.storescp.commitment.whereabouts import Index, Whereabouts
from isocenter.storescp.settings import StoreScpSettings

FOLDER = "commitment"
"""Name of the folder in a worker's part of the spool."""


def build(
    settings: StoreScpSettings, place: Path, index: Index, s3: Any
) -> CommitmentService | None:
    """Make the service; nothing runs yet.

    Args:
        settings: of the process.
        place: this worker's folder, ``<spool>/w<n>``.
        index: of the pod.
        s3: a boto3 S3 client.

    Returns:
        None if commitment is off: its context is then not to be accepted.

    Raises:
        ConfigurationError: a certificate for reports can't be used.
    """
    if settings.commitment == "off":
        return None
    addresses = {
        ae_title: parse_address(text)
        for ae_title, text in settings.commitment_peers.items()
    }
    authorities = settings.commitment_tls_ca_file or settings.tls_ca_file
    tls = (settings.tls_cert_file, settings.tls_key_file, authorities)
    if any(address.tls for address in addresses.values()):
        client_context(*tls)  # said at the start, not hours later
    objects = Objects(s3)
    service = CommitmentService(
        Transactions(place / FOLDER, beside=f"w*/{FOLDER}"),
        Whereabouts(
            index,
            settings.spool_dir,
            objects,
            Manifests(
                objects,
                settings.bucket,
                settings.batches_prefix,
                timedelta(hours=settings.commitment_lookback_h),
            ),
            Imports(objects, settings.import_output_prefix)
            if settings.commitment == "imported"
            else None,
        ),
        Courier(
            AssociatingReporter(lambda: client_context(*tls)),
            addresses,
            report_s=settings.commitment_report_s,
        ),
        Terms(
            Patience(settings.commitment_wait_s, settings.commitment_unknown_wait_s),
            timedelta(days=settings.commitment_remember_days),
        ),
        inherited=_gone(place, settings.workers),
    )
    metrics.COMMITMENTS_WAITING.set_function(service.waiting)
    return service


def _gone(place: Path, workers: int) -> list[Path]:
    """What workers left that are not configured any more; the first takes it over."""
    if place.name != "w0":
        return []
    numbered = (p for p in place.parent.glob("w*") if p.name[1:].isdecimal())
    return [p / FOLDER for p in numbered if int(p.name[1:]) >= workers]
