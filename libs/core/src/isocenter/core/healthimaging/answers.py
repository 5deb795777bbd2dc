"""What HealthImaging answers, as far as the product reads it. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ImageSetState:
    """GetImageSet: what an event has to be confirmed by."""

    image_set_id: str
    version_id: str
    state: str
    workflow_status: str
    is_primary: bool | None

    @property
    def readable(self) -> bool:
        """ACTIVE; anything else (LOCKED, an unknown word) has to be waited for."""
        return self.state == "ACTIVE"


@dataclass(frozen=True)
class ImportJob:
    """GetDICOMImportJob."""

    job_id: str
    status: str
    output_s3_uri: str
    message: str | None

    @property
    def ended(self) -> bool:
        """COMPLETED or FAILED; an unknown status is polled on."""
        return self.status in {"COMPLETED", "FAILED"}


@dataclass(frozen=True)
class FoundImageSet:
    """One result of SearchImageSets."""

    image_set_id: str
    version_id: str
    is_primary: bool | None
    updated_at: datetime
