"""The image set and the instance that a DICOMweb URL names.

Developer guide, "Retrieving DICOM data from HealthImaging": primary image sets,
or the one of the query parameter ``imageSetId``, primary or not.

Assumed: UIDs that match nothing, also in the image set named, are a
ResourceNotFoundException.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isocenter.devcloud.healthimaging.dicomweb.kept import DICOM_JSON, P10
from isocenter.devcloud.healthimaging.errors import ResourceNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from isocenter.devcloud.healthimaging.models import ImageSet
    from isocenter.devcloud.healthimaging.state import State

__all__ = ["StoredInstance", "find_image_set", "find_instance"]


@dataclass(frozen=True)
class StoredInstance:
    """One instance on disk."""

    state: State
    image_set: ImageSet
    sop_instance_uid: str

    @property
    def p10(self) -> Path:
        """The P10 file, with pixel data only where no frames are stored."""
        return self._path(P10)

    @property
    def dicom_json(self) -> Path:
        """The DICOM JSON, URLs of bulk data relative."""
        return self._path(DICOM_JSON)

    def image_set_metadata(self) -> dict[str, Any]:
        """The instance's part of the image set metadata, its frames among it."""
        text = self._path(".json").read_text(encoding="ascii")
        found: dict[str, Any] = json.loads(text)
        return found

    def frame(self, frame_id: str) -> bytes:
        """A stored frame."""
        return self.state.frame(self.image_set, frame_id)[1].read_bytes()

    def _path(self, suffix: str) -> Path:
        return self.state.instance_path(self.image_set, self.sop_instance_uid, suffix)


def find_image_set(
    state: State, datastore_id: str, study: str, series: str, image_set_id: str | None
) -> ImageSet:
    """The image set of a series; ResourceNotFoundError."""
    if image_set_id is not None:
        candidates = [state.image_set(datastore_id, image_set_id)]
    else:
        state.datastore(datastore_id)
        candidates = [
            each for each in state.image_sets(datastore_id) if each.is_primary
        ]
    for each in candidates:
        key = each.key
        if (key.study_instance_uid, key.series_instance_uid) == (study, series):
            return each
    raise ResourceNotFoundError("No image set has this study and series")


def find_instance(
    state: State,
    datastore_id: str,
    uids: tuple[str, str, str],
    image_set_id: str | None,
) -> StoredInstance:
    """The instance by study, series and SOP Instance UID; ResourceNotFoundError."""
    study, series, sop_instance_uid = uids
    image_set = find_image_set(state, datastore_id, study, series, image_set_id)
    if sop_instance_uid not in image_set.instances:
        raise ResourceNotFoundError("The series does not have the instance")
    return StoredInstance(state, image_set, sop_instance_uid)
