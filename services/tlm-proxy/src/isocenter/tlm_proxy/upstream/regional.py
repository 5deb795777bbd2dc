"""One region: its signer, and a guard for each of AWS's quotas."""

from dataclasses import dataclass, replace

from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.guard import Guard, Limits
from isocenter.tlm_proxy.upstream.signing import Signer
from isocenter.tlm_proxy.upstream.transport import Transport

_SEARCHES = 0.5
"""SearchImageSets' quota (25 a second), as a part of DICOMweb's (50)."""


@dataclass(frozen=True)
class Regional:
    """What it takes to call HealthImaging in one region.

    Attributes:
        transport: moves the bytes; the same for all regions.
        signer: signs for this region.
        frames: guard of GetImageFrame.
        dicomweb: guard of the DICOMweb service.
        metadata: guard of GetImageSetMetadata.
        searches: guard of SearchImageSets.
    """

    transport: Transport
    signer: Signer
    frames: Guard
    dicomweb: Guard
    metadata: Guard
    searches: Guard

    def aclose(self) -> None:
        """Stop the guards' timers."""
        for guard in (self.frames, self.dicomweb, self.metadata, self.searches):
            guard.aclose()


def regional(
    transport: Transport, signer: Signer, settings: Settings, metrics: Metrics
) -> Regional:
    """The region of ``signer``, with new guards."""
    many = Limits(
        settings.upstream_calls_per_s,
        settings.upstream_connections,
        settings.upstream_queue,
    )
    few = Limits(
        settings.dicomweb_calls_per_s,
        settings.dicomweb_connections,
        settings.upstream_queue,
    )
    searches = replace(few, calls_per_s=few.calls_per_s * _SEARCHES)
    region = signer.region
    return Regional(
        transport,
        signer,
        Guard(region, "frames", many, metrics),
        Guard(region, "dicomweb", few, metrics),
        Guard(region, "metadata", few, metrics),
        Guard(region, "searches", searches, metrics),
    )
