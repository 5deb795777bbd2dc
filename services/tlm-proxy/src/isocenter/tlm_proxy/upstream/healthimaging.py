"""HealthImaging, in all regions served: what the rest of the proxy sees of it."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Self

from isocenter.core.errors import NotFoundError
from isocenter.tlm_proxy.errors import CredentialsError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.dicomweb import HealthImagingDicomWeb
from isocenter.tlm_proxy.upstream.image_frame import UpstreamFrame, get_image_frame
from isocenter.tlm_proxy.upstream.image_sets import HealthImagingImageSets
from isocenter.tlm_proxy.upstream.regional import Regional, regional
from isocenter.tlm_proxy.upstream.signing import Signer, connect
from isocenter.tlm_proxy.upstream.transport import Transport

log = logging.getLogger(__name__)


class Upstream:
    """The source of frames, DICOM JSON and image sets.

    Args:
        settings: what the process was told.
        metrics: its metrics.
        region: the process's own region.
        signers: by region; those are the regions served.

    Attributes:
        region: the process's own region.
        dicomweb: HealthImaging's DICOMweb service.
        image_sets: SearchImageSets and GetImageSetMetadata.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        region: str,
        signers: Mapping[str, Signer],
    ) -> None:
        self.region = region
        self._settings = settings
        self._metrics = metrics
        self._signers = signers
        self._transport: Transport | None = None
        self._regions: dict[str, Regional] = {}
        self._problem: str | None = "starting"
        limit = settings.upstream_json_max_bytes
        self.dicomweb = HealthImagingDicomWeb(self._regional, metrics, limit)
        self.image_sets = HealthImagingImageSets(self._regional, metrics, limit)

    @classmethod
    def build(cls, settings: Settings, metrics: Metrics) -> Self:
        """HealthImaging by AWS's own variables, not open yet.

        Raises:
            ConfigurationError: no AWS region is set.
        """
        region, signers = connect(settings.regions)
        return cls(settings, metrics, region, signers)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions served."""
        return tuple(self._signers)

    async def open(self) -> None:
        """Open the HTTP session; call inside the serving loop."""
        self._transport = transport = Transport(self._settings)
        self._regions = {
            region: regional(transport, signer, self._settings, self._metrics)
            for region, signer in self._signers.items()
        }

    async def aclose(self) -> None:
        """Close connections; harmless if it wasn't open."""
        for region in self._regions.values():
            region.aclose()
        if self._transport is not None:
            await self._transport.aclose()

    async def prepare(self) -> None:
        """Have AWS credentials at hand, so that no request waits for them.

        A failure is logged, and shows in ``problem``.
        """
        try:
            await asyncio.gather(*(s.ready() for s in self._signers.values()))
            self._problem = None
        except CredentialsError as error:
            self._problem = "no AWS credentials"
            log.warning("no AWS credentials", extra={"error": str(error)})

    def problem(self) -> str | None:
        """Why HealthImaging can't be called now; None if it can."""
        return self._problem

    async def frame(self, key: FrameKey, client: str) -> UpstreamFrame:
        """GetImageFrame, once its headers are here. Whoever asks closes it.

        Args:
            key: which frame.
            client: whose turn it takes.

        Raises:
            AwsError: as ``Transport.send``; NotFoundError if its region is not
                served.
        """
        return await get_image_frame(
            self._regional(key.region), self._metrics, key, client
        )

    def _regional(self, region: str) -> Regional:
        found = self._regions.get(region)
        if found is None:
            raise NotFoundError(
                f"region {region} is not served: one of {', '.join(self._signers)} is"
            )
        return found
