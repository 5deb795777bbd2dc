"""The six searches: which rows there are, in which order (QIDO-RS).

Developer guide, "Searching DICOM data in HealthImaging": primary image sets
alone; studies, and a study's instances, by last update, the newest first;
series by Series Number, instances by Instance Number.

Assumed: no search gets past 10,000 records, as an earlier edition of the page
says and the current one, with its offset of up to 1,000,000, no longer; rows
without a number come last, equal ones are in order of their UIDs; where the
series of a study disagree about it, the newest image set is right; counts and
Modalities in Study are those of primary image sets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from isocenter.devcloud.healthimaging.dicomweb.attributes import (
    INSTANCE,
    SERIES,
    STUDY,
    Search,
)
from isocenter.devcloud.healthimaging.dicomweb.dicom_json import absolute
from isocenter.devcloud.healthimaging.dicomweb.fields import (
    Level,
    needs_instance,
    project,
)
from isocenter.devcloud.healthimaging.dicomweb.kept import DICOM_JSON, SEARCH
from isocenter.devcloud.healthimaging.dicomweb.matching import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from isocenter.devcloud.healthimaging.dicomweb.query import Query
    from isocenter.devcloud.healthimaging.models import ImageSet
    from isocenter.devcloud.healthimaging.state import State

__all__ = ["MAX_RECORDS", "search"]

MAX_RECORDS: Final = 10_000
_MODALITIES, _MODALITY = "00080061", "00080060"
_SOP_CLASSES, _SOP_CLASS = "00080062", "00080016"
_SERIES_NUMBER, _INSTANCE_NUMBER = "00200011", "00200013"
_LEVELS: Final[dict[Search, Level]] = {
    "SearchDICOMStudies": "study",
    "SearchDICOMSeries": "series",
    "SearchDICOMAllSeries": "series",
    "SearchDICOMInstances": "instance",
    "SearchDICOMStudyInstances": "instance",
    "SearchDICOMAllInstances": "instance",
}
# The parents' attributes come with it where the URL does not name the parent.
_STANDARD: Final[dict[Search, tuple[str, ...]]] = {
    "SearchDICOMStudies": STUDY,
    "SearchDICOMSeries": SERIES,
    "SearchDICOMAllSeries": STUDY + SERIES,
    "SearchDICOMInstances": INSTANCE,
    "SearchDICOMStudyInstances": SERIES + INSTANCE,
    "SearchDICOMAllInstances": STUDY + SERIES + INSTANCE,
}


@dataclass(frozen=True)
class _Row:
    """A candidate: its attributes, and the instance that stands for the rest."""

    known: dict[str, Any]
    updated_at: float
    image_set: ImageSet
    sop_instance_uid: str


def search(
    state: State,
    operation: Search,
    path: Mapping[str, str],
    query: Query,
    base_url: str,
) -> list[str]:
    """The page's rows, each the text of a DICOM JSON object.

    ``path`` has ``datastoreId`` and may name ``study`` and ``series``;
    ``base_url`` is the data store's, without a slash at its end.
    ResourceNotFoundError for an unknown data store; a parent that does not
    exist has no rows.
    """
    state.datastore(path["datastoreId"])
    rows = _Rows(state, path, base_url, query)
    level = _LEVELS[operation]
    found = [
        row
        for row in rows.of(level)
        if matches(row.known, query.matches, fuzzy=query.fuzzy)
    ]
    found.sort(key=_order(operation, level))
    chosen = found[:MAX_RECORDS][query.offset :][: query.limit]
    return [rows.text(row, level, _STANDARD[operation]) for row in chosen]


class _Rows:
    """The candidates of a search."""

    def __init__(
        self, state: State, path: Mapping[str, str], base_url: str, query: Query
    ) -> None:
        self._state = state
        self._base_url = base_url
        self._query = query
        self._series = path.get("series")
        self._studies: dict[str, list[ImageSet]] = {}
        for image_set in state.image_sets(path["datastoreId"]):
            study = image_set.key.study_instance_uid
            if image_set.is_primary and path.get("study", study) == study:
                self._studies.setdefault(study, []).append(image_set)

    def of(self, level: Level) -> Iterator[_Row]:
        for study, image_sets in self._studies.items():
            newest = max(image_sets, key=lambda each: each.latest.updated_at)
            of_study = self._study(study, image_sets)
            if level == "study":
                uid = next(iter(newest.instances))
                known = {**self._searched(newest, uid), **of_study}
                yield _Row(known, newest.latest.updated_at, newest, uid)
                continue
            for image_set in image_sets:
                if self._series in (None, image_set.key.series_instance_uid):
                    yield from self._below(level, image_set, of_study)

    def _below(
        self, level: Level, image_set: ImageSet, of_study: dict[str, Any]
    ) -> Iterator[_Row]:
        uids = list(image_set.instances)
        url = self._url(image_set)
        of_series = {
            **of_study,
            "00201209": _element("IS", len(uids)),
            "00081190": _element("UR", url),
        }
        for uid in uids[:1] if level == "series" else uids:
            known = {**self._searched(image_set, uid), **of_series}
            if level == "instance":
                known["00081190"] = _element("UR", f"{url}/instances/{uid}")
            yield _Row(known, image_set.latest.updated_at, image_set, uid)

    def text(self, row: _Row, level: Level, standard: tuple[str, ...]) -> str:
        """A row as it is sent."""
        query, instance = self._query, {}
        if needs_instance(query):
            path = self._state.instance_path(
                row.image_set, row.sop_instance_uid, DICOM_JSON
            )
            instance = json.loads(path.read_text(encoding="ascii"))
        found = json.dumps(project(query, level, standard, row.known, instance))
        url = f"{self._url(row.image_set)}/instances/{row.sop_instance_uid}"
        return absolute(found, url)

    def _study(self, study: str, image_sets: list[ImageSet]) -> dict[str, Any]:
        known = {
            "00080056": _element("CS", "ONLINE"),
            "00081190": _element("UR", f"{self._base_url}/studies/{study}"),
            "00201206": _element("IS", len(image_sets)),
            "00201208": _element("IS", sum(len(each.instances) for each in image_sets)),
            _MODALITIES: _distinct("CS", _MODALITY, self._first_of(image_sets)),
        }
        if self._query.every_field or (_SOP_CLASSES,) in self._query.fields:
            every = (
                self._searched(image_set, uid)
                for image_set in image_sets
                for uid in list(image_set.instances)
            )
            known[_SOP_CLASSES] = _distinct("UI", _SOP_CLASS, every)
        return known

    def _first_of(self, image_sets: list[ImageSet]) -> Iterator[dict[str, Any]]:
        for image_set in image_sets:
            yield self._searched(image_set, next(iter(image_set.instances)))

    def _searched(self, image_set: ImageSet, uid: str) -> dict[str, Any]:
        return _read(self._state.instance_path(image_set, uid, SEARCH))

    def _url(self, image_set: ImageSet) -> str:
        key = image_set.key
        study = f"{self._base_url}/studies/{key.study_instance_uid}"
        return f"{study}/series/{key.series_instance_uid}"


@lru_cache(maxsize=8192)
def _read(path: Path) -> dict[str, Any]:
    """Such a file is never written twice."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    return found


def _order(operation: Search, level: Level) -> Callable[[_Row], tuple[Any, ...]]:
    number = _SERIES_NUMBER if level == "series" else _INSTANCE_NUMBER

    def by_number(row: _Row) -> tuple[Any, ...]:
        return (*_number(row.known.get(number)), *_uids(row))

    def by_update(row: _Row) -> tuple[Any, ...]:
        return (-row.updated_at, *by_number(row))

    if operation in ("SearchDICOMStudies", "SearchDICOMStudyInstances"):
        return by_update
    return by_number


def _number(element: Mapping[str, Any] | None) -> tuple[int, float]:
    value = ((element or {}).get("Value") or [None])[0]
    return (0, value) if isinstance(value, (int, float)) else (1, 0.0)


def _uids(row: _Row) -> tuple[str, str, str]:
    key = row.image_set.key
    return key.study_instance_uid, key.series_instance_uid, row.sop_instance_uid


def _element(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _distinct(vr: str, tag: str, every: Iterator[dict[str, Any]]) -> dict[str, Any]:
    values = {value for each in every for value in each.get(tag, {}).get("Value") or ()}
    found = sorted(value for value in values if value)
    return {"vr": vr, "Value": found} if found else {"vr": vr}
