"""SearchImageSets: which image sets match, in which order.

Developer guide, "Searching image sets": up to two filters, all of which must
hold; a date range is two values, the lower bound first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from isocenter.devcloud.healthimaging.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isocenter.devcloud.healthimaging.models import ImageSet

__all__ = ["DEFAULT_SORT", "matches", "sort_value", "validate_criteria"]

DEFAULT_SORT: Final = {"sortOrder": "DESC", "sortField": "updatedAt"}

_OPERATORS: Final = {
    "createdAt": "BETWEEN",
    "updatedAt": "BETWEEN",
    "DICOMStudyDateAndTime": "BETWEEN",
    "DICOMPatientId": "EQUAL",
    "DICOMAccessionNumber": "EQUAL",
    "DICOMStudyId": "EQUAL",
    "DICOMStudyInstanceUID": "EQUAL",
    "DICOMSeriesInstanceUID": "EQUAL",
    "isPrimary": "EQUAL",
}
_VALUES: Final = {"BETWEEN": 2, "EQUAL": 1}


def validate_criteria(criteria: Mapping[str, Any]) -> None:
    """Raise ValidationError for filters that the service does not take."""
    for each in criteria.get("filters") or ():
        names = {name for value in each["values"] for name in value}
        if len(names) != 1:
            raise ValidationError("A filter must have values of one attribute")
        name = names.pop()
        operator = each["operator"]
        if _OPERATORS[name] != operator:
            raise ValidationError(f"Operator {operator} is not supported for {name}")
        if len(each["values"]) != _VALUES[operator]:
            raise ValidationError(
                f"Operator {operator} takes {_VALUES[operator]} value(s) of {name}"
            )
        low, high = _bound(each["values"][0]), _bound(each["values"][-1])
        if low > high:
            raise ValidationError(f"The bounds of {name} are in the wrong order")


def matches(image_set: ImageSet, criteria: Mapping[str, Any]) -> bool:
    """Whether an image set matches every (valid) filter."""
    return all(_matches(image_set, each) for each in criteria.get("filters") or ())


def sort_value(image_set: ImageSet, field: str) -> Any:
    """The value of a sortField."""
    return _attributes(image_set)[field]


def _matches(image_set: ImageSet, each: Mapping[str, Any]) -> bool:
    name = next(iter(each["values"][0]))
    actual = _attributes(image_set)[name]
    return bool(_bound(each["values"][0]) <= actual <= _bound(each["values"][-1]))


def _bound(value: Mapping[str, Any]) -> Any:
    name, wanted = next(iter(value.items()))
    if name == "DICOMStudyDateAndTime":
        return _date_and_time(
            wanted.get("DICOMStudyDate"), wanted.get("DICOMStudyTime")
        )
    return wanted.strip() if isinstance(wanted, str) else wanted


def _attributes(image_set: ImageSet) -> dict[str, Any]:
    key = image_set.key
    time = image_set.levels["Study"].get("StudyTime")
    return {
        "createdAt": image_set.created_at,
        "updatedAt": image_set.latest.updated_at,
        "DICOMStudyDateAndTime": _date_and_time(key.study_date, time),
        "DICOMPatientId": key.patient_id,
        "DICOMAccessionNumber": key.accession_number,
        "DICOMStudyId": key.study_id,
        "DICOMStudyInstanceUID": key.study_instance_uid,
        "DICOMSeriesInstanceUID": key.series_instance_uid,
        "isPrimary": image_set.is_primary,
    }


def _date_and_time(date: str | None, time: str | None) -> tuple[str, str]:
    return (date or "").strip(), (time or "").strip()
