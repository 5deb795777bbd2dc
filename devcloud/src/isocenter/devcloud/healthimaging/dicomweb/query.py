"""A search's query string: what must match, which fields come back, which page.

Developer guide, "Searching DICOM data in HealthImaging": keys are tags or
keywords, ``limit`` is 1,000 by default and at most, ``offset`` at most
1,000,000, ``includefield`` may come up to 50 times and an invalid one is left
out silently; a private creator's tag is a key that goes with a private field.

Assumed: a key that the operation's page does not list is refused, as is one
given twice and a value out of bounds; several includefields in one, separated
by commas (PS3.18 8.3.4.3, but in no example of AWS), count as one invalid
field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from isocenter.devcloud.healthimaging.dicomweb.attributes import KEYS, Search
from isocenter.devcloud.healthimaging.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_LIMIT", "MAX_OFFSET", "Query", "parse_query", "tag_of"]

MAX_LIMIT: Final = 1_000
MAX_OFFSET: Final = 1_000_000
_MAX_FIELDS: Final = 50
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True)
class Query:
    """``matches`` by tag; ``fields`` are paths of tags, one tag but for sequences.

    ``creators`` gives private creators by their own tag (gggg00bb).
    """

    matches: dict[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, ...], ...] = ()
    every_field: bool = False
    creators: dict[str, str] = field(default_factory=dict)
    fuzzy: bool = False
    limit: int = MAX_LIMIT
    offset: int = 0


def parse_query(operation: Search, pairs: Iterable[tuple[str, str]]) -> Query:
    """The decoded pairs of a query string; ValidationError for what is not taken."""
    matches: dict[str, str] = {}
    creators: dict[str, str] = {}
    options: dict[str, str] = {}
    fields: list[str] = []
    for name, value in pairs:
        if name.startswith("X-Amz-"):
            continue  # of a signature in the query string (SigV4)
        if name == "includefield":
            fields.append(value)
            continue
        if name in ("limit", "offset", "fuzzymatching"):
            taken, key = options, name
        else:
            tag = tag_of(name)
            key = tag or name
            taken = creators if tag and _is_creator(tag) else matches
            if taken is matches and tag not in KEYS[operation]:
                raise ValidationError(f"{name} is no query key of {operation}")
        if key in taken:
            raise ValidationError(f"Query key {name} is given more than once")
        taken[key] = value
    if len(fields) > _MAX_FIELDS:
        raise ValidationError(f"More than {_MAX_FIELDS} includefield parameters")
    return Query(
        matches=matches,
        fields=tuple(dict.fromkeys(path for path in map(_path, fields) if path)),
        every_field="all" in fields,
        creators=creators,
        fuzzy=_flag(options.get("fuzzymatching", "false")),
        limit=_number("limit", options.get("limit"), MAX_LIMIT, MAX_LIMIT),
        offset=_number("offset", options.get("offset"), 0, MAX_OFFSET),
    )


def tag_of(name: str) -> str | None:
    """``GGGGEEEE`` of a tag or a keyword, None for neither.

    >>> tag_of("PatientID"), tag_of("0020000d"), tag_of("Patient ID")
    ('00100020', '0020000D', None)
    """
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name)
    return None if tag is None else f"{tag:08X}"


def _is_creator(tag: str) -> bool:
    """PS3.5 7.8.1: (gggg,0010-00FF) of an odd group."""
    return int(tag[:4], 16) % 2 == 1 and 0x0010 <= int(tag[4:], 16) <= 0x00FF  # noqa: PLR2004 - the standard's bounds


def _path(text: str) -> tuple[str, ...] | None:
    tags = [tag_of(part) for part in text.split(".")]
    return None if None in tags else tuple(tag for tag in tags if tag)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValidationError("fuzzymatching must be true or false")
    return text == "true"


def _number(name: str, text: str | None, default: int, largest: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) > largest:
        raise ValidationError(f"{name} must be a number from 0 to {largest}")
    return int(text)
