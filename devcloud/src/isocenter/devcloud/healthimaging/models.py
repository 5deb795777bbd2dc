"""What HealthImaging keeps: data stores, import jobs and image sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocenter.devcloud.healthimaging.attribute_levels import Level
    from isocenter.devcloud.healthimaging.grouping import SeriesKey

__all__ = ["Datastore", "ImageSet", "ImageSetVersion", "ImportJob"]


@dataclass
class Datastore:
    """A data store; ``request`` is what it was made with, by its token.

    Times are epoch seconds.  It is CREATING until ``active_at``.
    """

    datastore_id: str
    request: dict[str, Any]
    created_at: float
    active_at: float

    @property
    def storage_format(self) -> str:
        """``HTJ2K`` (the service's default) or ``JPEG_2000_LOSSLESS``."""
        return str(self.request.get("losslessStorageFormat") or "HTJ2K")

    def status(self, now: float) -> str:
        """The datastoreStatus at a time."""
        return "ACTIVE" if now >= self.active_at else "CREATING"


@dataclass
class ImportJob:
    """A DICOM import job; ``request`` is StartDICOMImportJob's.

    ``output_s3_uri`` is the job's own folder below the one asked for.
    """

    job_id: str
    datastore_id: str
    request: dict[str, Any]
    output_s3_uri: str
    submitted_at: float
    status: str = "SUBMITTED"
    ended_at: float | None = None
    message: str | None = None

    @property
    def name(self) -> str:
        """The jobName, which the service fills in when none was given."""
        return str(self.request.get("jobName") or f"DicomImport-{self.job_id}")


@dataclass(frozen=True)
class ImageSetVersion:
    """One version of an image set; its metadata is on disk."""

    version: int
    workflow_status: str
    updated_at: float


@dataclass
class ImageSet:
    """An image set; ``instances`` maps SOP Instance UIDs to file names."""

    image_set_id: str
    datastore_id: str
    key: SeriesKey
    is_primary: bool
    levels: dict[Level, dict[str, Any]]
    created_at: float
    versions: list[ImageSetVersion] = field(default_factory=list)
    instances: dict[str, str] = field(default_factory=dict)

    @property
    def latest(self) -> ImageSetVersion:
        """The newest version."""
        return self.versions[-1]
