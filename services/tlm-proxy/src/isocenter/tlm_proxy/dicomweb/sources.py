"""What the facade asks of HealthImaging; ``upstream`` implements it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from isocenter.tlm_proxy.frames.key import Store


class ImageSetSummary(NamedTuple):
    """One result of SearchImageSets.

    Attributes:
        id: the image set.
        version: its latest version.
        is_primary: None where HealthImaging doesn't say.
        tags: its DICOMTags as they are, such as ``DICOMSeriesInstanceUID``.
    """

    id: str
    version: str
    is_primary: bool | None
    tags: Mapping[str, Any]


class DicomWebSource(Protocol):
    """HealthImaging's own DICOMweb service."""

    async def search(
        self, store: Store, path: str, query: Sequence[tuple[str, str]], client: str
    ) -> list[dict[str, Any]]:
        """QIDO-RS, one page; no content is an empty list.

        Args:
            store: region and data store.
            path: after the data store, such as ``studies/1.2.3/series``.
            query: parameters as they are sent.
            client: whom the call is counted for.

        Raises:
            AwsError: HealthImaging refused, or did not answer.
        """

    async def metadata(
        self, store: Store, path: str, query: Sequence[tuple[str, str]], client: str
    ) -> list[dict[str, Any]]:
        """WADO-RS metadata: a data set for each instance."""


class ImageSetSource(Protocol):
    """HealthImaging's own calls on image sets."""

    async def search(
        self, store: Store, attribute: str, value: str, client: str
    ) -> list[ImageSetSummary]:
        """SearchImageSets, all pages.

        Args:
            store: region and data store.
            attribute: ``DICOMStudyInstanceUID`` or ``DICOMSeriesInstanceUID``.
            value: what it must equal.
            client: whom the calls are counted for.
        """

    async def metadata(
        self, store: Store, image_set_id: str, version: str | None, client: str
    ) -> dict[str, Any]:
        """GetImageSetMetadata, inflated and decoded; None asks for the latest."""
