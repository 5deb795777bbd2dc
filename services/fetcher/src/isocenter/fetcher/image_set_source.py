"""What the fetcher needs of HealthImaging."""

from typing import Any, Protocol

from isocenter.core.healthimaging.answers import ImageSetState


class ImageSetSource(Protocol):
    """The three calls of ``isocenter.core.healthimaging.client.HealthImaging``."""

    def image_set(
        self, datastore_id: str, image_set_id: str, version_id: str | None = None
    ) -> ImageSetState:
        """GetImageSet, of the latest version if none is named."""

    def metadata(
        self, datastore_id: str, image_set_id: str, version_id: str
    ) -> dict[str, Any]:
        """GetImageSetMetadata of one version, inflated and decoded."""

    def frame_bytes(self, datastore_id: str, image_set_id: str, frame_id: str) -> bytes:
        """GetImageFrame, read to its end."""
