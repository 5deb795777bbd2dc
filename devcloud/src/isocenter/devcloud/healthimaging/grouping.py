"""Which image set an instance belongs to.

Developer guide, "Understanding image sets": the instances of a series that
agree in seven elements form one primary image set, across import jobs;
instances that conflict with it go to image sets that are not primary.
Assumed: within a job, conflicting instances that agree among themselves share
one non-primary set, and a later job starts a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isocenter.devcloud.healthimaging.attribute_levels import Level

__all__ = ["SeriesKey", "place"]


class SeriesKey(NamedTuple):
    """The seven elements; absent, empty and blank count as equal."""

    study_date: str
    accession_number: str
    patient_id: str
    study_instance_uid: str
    study_id: str
    series_instance_uid: str
    series_number: str

    @classmethod
    def of(cls, levels: Mapping[Level, Mapping[str, Any]]) -> SeriesKey:
        """The elements as they stand in an instance's metadata."""
        study, series = levels["Study"], levels["Series"]
        values = (
            study.get("StudyDate"),
            study.get("AccessionNumber"),
            levels["Patient"].get("PatientID"),
            study.get("StudyInstanceUID"),
            study.get("StudyID"),
            series.get("SeriesInstanceUID"),
            series.get("SeriesNumber"),
        )
        return cls(*("" if value is None else str(value).strip() for value in values))


def place(
    key: SeriesKey,
    primaries: Mapping[str, tuple[str, SeriesKey]],
    conflicting: Mapping[SeriesKey, str],
) -> tuple[str | None, bool]:
    """The image set for an instance with ``key``: (id or None for a new one, primary).

    ``primaries`` gives each Series Instance UID's primary set with its key,
    ``conflicting`` the non-primary sets that the running job has begun.
    """
    primary = primaries.get(key.series_instance_uid)
    if primary is None:
        return None, True
    image_set_id, primary_key = primary
    if key == primary_key:
        return image_set_id, True
    return conflicting.get(key), False
