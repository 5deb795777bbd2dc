"""What a search asks for, and which part of it HealthImaging can answer. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from isocenter.tlm_proxy.dicomweb.attributes import (
    INCLUDED,
    SEARCHABLE,
    UID_OF,
    Level,
    by_tag,
    tag_of,
)
from isocenter.tlm_proxy.dicomweb.dataset import Dataset
from isocenter.tlm_proxy.dicomweb.matching import (
    check,
    is_range,
    is_universal,
    listed,
    matches,
)
from isocenter.tlm_proxy.errors import BadRequestError

MAX_INCLUDED = 50
"""includefield parameters that HealthImaging takes."""
MAX_LISTED = 50
"""UIDs that are looked up one by one."""
MAX_KEY = 1024

NOT_FUZZY = (
    '299 - "The fuzzymatching parameter is not supported. Only literal matching '
    'has been performed."'
)
"""PS3.18 8.3.4.2's own words."""

_NUMBER = re.compile(r"[0-9]{1,7}")
_NAME = re.compile(r"[A-Za-z0-9]{1,64}")
_FIELD = re.compile(r"([0-9A-Fa-f]{8}|[A-Za-z][A-Za-z0-9]{1,63})")
_NOT_KEYS = frozenset({"imageSetId", "includeNonPrimary"})
_CERTAIN = frozenset({"00100020", *UID_OF.values()})
_FIRST_DAY, _LAST_DAY = "18000101", "29991231"
"""Stand for the open end of a range of dates: HealthImaging documents closed ones."""


@dataclass(frozen=True)
class Key:
    """One matching key."""

    tag: str
    vr: str
    value: str


@dataclass(frozen=True)
class SearchQuery:
    """A search, read.

    Attributes:
        level: what is searched for.
        keys: matching keys that are not universal.
        included: tags asked for; ("all",) for all.
        limit: results wanted, None for all.
        offset: results to skip.
        fuzzy: fuzzy matching of names was asked for, which isn't done.
    """

    level: Level
    keys: tuple[Key, ...]
    included: tuple[str, ...]
    limit: int | None
    offset: int
    fuzzy: bool

    def unpaged(self) -> "SearchQuery":
        """The same search for all results."""
        return replace(self, limit=None, offset=0)

    def warnings(self) -> tuple[str, ...]:
        """Warning headers for what was asked for and isn't done."""
        return (NOT_FUZZY,) * self.fuzzy

    def matches(self, dataset: Dataset, sent: frozenset[str] = frozenset()) -> bool:
        """``dataset`` matches all keys.

        Args:
            dataset: a result.
            sent: tags of keys that HealthImaging was given: a result that lacks
                such an attribute is trusted, as not all are returned. Ids of
                patients and UIDs are not: a wrong patient is worse than none.
        """
        return all(
            (k.tag in sent and k.tag not in dataset and k.tag not in _CERTAIN)
            or matches(dataset, k.tag, k.vr, k.value)
            for k in self.keys
        )


@dataclass(frozen=True)
class Plan:
    """How a search is put to HealthImaging.

    Attributes:
        variants: parameters of the searches whose results together hold every
            match; more than one only for a list of UID.
        complete: all keys are in ``variants``; otherwise results have to be
            filtered before they are counted.
        sent: tags of the keys that are in every variant.
    """

    variants: tuple[tuple[tuple[str, str], ...], ...]
    complete: bool
    sent: frozenset[str]


def parse_search(level: Level, parameters: Iterable[tuple[str, str]]) -> SearchQuery:
    """Read the query of a search (PS3.18 8.3.4).

    Raises:
        BadRequestError: a parameter is not known, or not of its form. A key
            that were ignored would show a reader the wrong patients.
    """
    keys: list[Key] = []
    included: list[str] = []
    limit, offset, fuzzy = None, 0, False
    for name, value in parameters:
        if name == "limit":
            limit = _number(name, value)
        elif name == "offset":
            offset = _number(name, value)
        elif name == "fuzzymatching":
            fuzzy = _truth(name, value)
        elif name == "includefield":
            included += _fields(value)
        elif name not in _NOT_KEYS:
            key = _key(name, value)
            if not is_universal(key.vr, key.value):
                keys.append(key)
    return SearchQuery(level, tuple(keys), tuple(included), limit, offset, fuzzy)


def plan(query: SearchQuery) -> Plan:
    """Which searches to put to HealthImaging."""
    sent: list[tuple[str, str]] = []
    lists: list[str] = []
    rest: list[Key] = []
    unique = UID_OF[query.level]
    for key in query.keys:
        values = listed(key.tag, key.vr, key.value)
        if key.tag not in SEARCHABLE[query.level] or any(
            key.tag == name for name, _ in sent
        ):
            rest.append(key)
        elif len(values) == 1:
            sent.append((key.tag, _closed(key)))
        elif key.tag == unique and len(values) <= MAX_LISTED and not lists:
            lists = list(dict.fromkeys(values))
        else:
            rest.append(key)
    fields = [("includefield", field) for field in _asked_fields(query)]
    variants: Sequence[list[tuple[str, str]]] = (
        [[*sent, (unique, uid)] for uid in lists] if lists else [sent]
    )
    return Plan(
        variants=tuple((*variant, *fields) for variant in variants),
        complete=not rest and len(variants) == 1,
        sent=frozenset(tag for tag, _ in sent),
    )


def _closed(key: Key) -> str:
    if not is_range(key.vr, key.value):
        return key.value
    first, _, last = key.value.partition("-")
    return f"{first or _FIRST_DAY}-{last or _LAST_DAY}"


def _asked_fields(query: SearchQuery) -> list[str]:
    if "all" in query.included:
        return ["all"]
    # What is filtered here has to be in the results.
    needed = [key.tag for key in query.keys]
    asked = dict.fromkeys([*needed, *INCLUDED[query.level], *query.included])
    return list(asked)[:MAX_INCLUDED]


def _key(name: str, value: str) -> Key:
    tag = tag_of(name)
    if tag is None:
        shown = f"“{name}”" if _NAME.fullmatch(name) else "of that name"
        raise BadRequestError(
            f"there is no search parameter {shown}: give attributes by tag or keyword"
        )
    value = value.strip()
    if len(value) > MAX_KEY:
        raise BadRequestError(f"{tag}: a key has at most {MAX_KEY} characters")
    known = by_tag(tag)
    vr = known.vr if known else "UN"
    check(tag, vr, value)
    return Key(tag, vr, value)


def _fields(value: str) -> list[str]:
    """Tags of includefield; OHIF sends several with commas."""
    fields = []
    for part in filter(None, value.split(",")):
        if part == "all":
            fields.append("all")
        elif _FIELD.fullmatch(part):
            # A keyword outside our table goes on as it is: HealthImaging has all.
            fields.append(tag_of(part) or part)
        else:
            raise BadRequestError("includefield takes tags, keywords or all")
    return fields


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadRequestError(f"{name} must be a number from 0 to 9999999")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise BadRequestError(f"{name} must be true or false")
    return value == "true"
