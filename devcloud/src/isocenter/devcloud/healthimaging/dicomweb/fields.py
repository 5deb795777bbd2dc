"""Which of its attributes a row of a search answer gives.

Developer guide, "Using IncludeField in QIDO-RS queries": the standard set, then
each field asked for that is there; a path into sequences gives the items with
that attribute alone; a private field needs its creator as a query key, a
creator alone gives itself; ``all`` gives the level's list, of an instance
everything.

Assumed: a study's row has attributes that HealthImaging keeps at patient and
study level and those of its ``all`` list, a series' row its own ones besides;
both read them from the first instance of the newest image set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydicom.datadict import keyword_for_tag

from isocenter.devcloud.healthimaging.attribute_levels import level_of
from isocenter.devcloud.healthimaging.dicomweb.attributes import (
    EVERY_SERIES_FIELD,
    EVERY_STUDY_FIELD,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from isocenter.devcloud.healthimaging.dicomweb.query import Query

__all__ = ["Level", "needs_instance", "project"]

Level = Literal["study", "series", "instance"]
Json = dict[str, Any]

_LISTS: Final = {"study": EVERY_STUDY_FIELD, "series": EVERY_SERIES_FIELD}
_NORMALISED: Final = {
    "study": ("Patient", "Study"),
    "series": ("Patient", "Study", "Series"),
}


def needs_instance(query: Query) -> bool:
    """Whether more is asked for than what searches read of every instance."""
    return query.every_field or bool(query.fields) or bool(query.creators)


def project(
    query: Query,
    level: Level,
    standard: Iterable[str],
    known: Mapping[str, Any],
    instance: Mapping[str, Any],
) -> Json:
    """A row, in order of its tags.

    ``known`` are the row's own attributes, made up ones among them, and win
    over ``instance``: the whole DICOM JSON of one instance (or nothing, where
    ``needs_instance`` says no).
    """
    source = {**instance, **known}
    row = {tag: source[tag] for tag in standard if tag in source}
    if query.every_field:
        wanted = instance.keys() if level == "instance" else _LISTS[level]
        row |= {tag: source[tag] for tag in wanted if tag in source}
    else:
        for path in query.fields:
            _include(row, source, path, level, query.creators)
    for tag, creator in query.creators.items():
        if _has_creator(source, tag, creator):
            row[tag] = source[tag]
    return dict(sorted(row.items()))


def _include(
    row: Json,
    source: Mapping[str, Any],
    path: tuple[str, ...],
    level: Level,
    creators: Mapping[str, str],
) -> None:
    tag = path[0]
    if tag not in source:
        return
    if int(tag[:4], 16) % 2:
        # PS3.5 7.8.1: (gggg,bbee) is of the creator at (gggg,00bb).
        creator = f"{tag[:4]}00{tag[4:6]}"
        if not _has_creator(source, creator, creators.get(creator)):
            return
    elif not _is_of(level, tag) and len(path) == 1:
        return
    if len(path) == 1:
        row[tag] = source[tag]
        return
    found = _inside(source[tag], path[1:])
    if found:
        row[tag] = _merged(row.get(tag), found)


def _is_of(level: Level, tag: str) -> bool:
    if level == "instance" or tag in _LISTS[level]:
        return True
    return level_of(keyword_for_tag(tag)) in _NORMALISED[level]


def _has_creator(source: Mapping[str, Any], tag: str, creator: str | None) -> bool:
    values = source.get(tag, {}).get("Value") or [None]
    return creator is not None and values[0] == creator


def _inside(element: Mapping[str, Any], path: tuple[str, ...]) -> Json | None:
    """The sequence with what the path leads to alone; None if it leads nowhere."""
    items = []
    for item in element.get("Value", ()) if element.get("vr") == "SQ" else ():
        inner = item.get(path[0])
        if inner is not None and len(path) > 1:
            inner = _inside(inner, path[1:])
        items.append({} if inner is None else {path[0]: inner})
    return {"vr": "SQ", "Value": items} if any(items) else None


def _merged(earlier: Mapping[str, Any] | None, found: Json) -> Json:
    """Two paths into one sequence: each item with what both lead to."""
    if earlier is None or "Value" not in earlier:
        return found
    pairs = zip(earlier["Value"], found["Value"], strict=True)
    return {"vr": "SQ", "Value": [{**one, **other} for one, other in pairs]}
