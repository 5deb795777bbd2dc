r"""Does a result match a key: PS3.4 C.2.2.2 on the DICOM JSON model. Pure.

Universal (an empty key, or asterisks alone), single value, list of UID, wildcard
and range matching; an attribute of many values matches when one of them does
(C.2.2.3). Names of persons match without regard to case and by any of their
component groups; everything else is matched exactly (C.2.2.2.1). An attribute
without a value matches universal keys only.
"""

import re
from collections.abc import Iterator
from typing import Any

from isocenter.tlm_proxy.dicomweb.attributes import MODALITIES_IN_STUDY
from isocenter.tlm_proxy.dicomweb.dataset import Dataset, values, vr_of
from isocenter.tlm_proxy.errors import BadRequestError

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs in which * and ? are wildcards (C.2.2.2.4)."""
RANGE_VRS = frozenset({"DA", "TM"})

_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)
_NUMERIC_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD"})


def is_universal(vr: str, key: str) -> bool:
    """The key matches everything (C.2.2.2.3)."""
    return not key or (vr in WILDCARD_VRS and not key.strip("*"))


def is_wildcard(vr: str, key: str) -> bool:
    """The key has wildcards (C.2.2.2.4)."""
    return vr in WILDCARD_VRS and ("*" in key or "?" in key)


def is_range(vr: str, key: str) -> bool:
    """The key is a range (C.2.2.2.5)."""
    return vr in RANGE_VRS and "-" in key


def listed(tag: str, vr: str, key: str) -> list[str]:
    """The values of a list of UID (C.2.2.2.2), or of modalities; else the key alone."""
    if vr == "UI" or tag == MODALITIES_IN_STUDY:
        return [part.strip() for part in re.split(r"[,\\]", key) if part.strip()]
    return [key]


def check(tag: str, vr: str, key: str) -> None:
    """See that a key is of its VR's form.

    Raises:
        BadRequestError: naming the attribute, not the value.
    """
    if vr not in RANGE_VRS or is_universal(vr, key):
        return
    form = _DATE if vr == "DA" else _TIME
    first, dash, last = key.partition("-")
    if dash and not first and not last:
        raise BadRequestError(f"{tag}: a range needs a beginning or an end")
    for part in filter(None, (first, last)):
        if not form.fullmatch(part):
            raise BadRequestError(
                f"{tag}: a {'date is YYYYMMDD' if vr == 'DA' else 'time is HHMMSS'}, "
                "a range two of them with a hyphen"
            )


def matches(dataset: Dataset, tag: str, vr: str, key: str) -> bool:
    """The attribute ``tag`` of ``dataset`` matches ``key``; ``check`` has passed."""
    if is_universal(vr, key):
        return True
    vr = vr_of(dataset, tag, vr)
    return any(
        _matches(vr, part, value)
        for value in _texts(values(dataset, tag))
        for part in listed(tag, vr, key)
    )


def _texts(found: list[Any]) -> Iterator[str]:
    """The values as text; of a name, each of its component groups."""
    for value in found:
        if isinstance(value, dict):
            yield from (str(group) for group in value.values() if group)
        elif value is not None and not isinstance(value, list):
            yield str(value)


def _matches(vr: str, key: str, value: str) -> bool:
    if is_range(vr, key):
        first, _, last = key.partition("-")
        found = _plain(vr, value)
        return (not first or found >= _plain(vr, first)[: len(found)]) and (
            not last or found[: len(_plain(vr, last))] <= _plain(vr, last)
        )
    if vr in RANGE_VRS:
        return _plain(vr, value).startswith(_plain(vr, key))
    if is_wildcard(vr, key):
        return _matches_wildcards(_trimmed(vr, key), _trimmed(vr, value))
    if vr in _NUMERIC_VRS:
        return _same_number(key, value)
    return _trimmed(vr, key) == _trimmed(vr, value)


def _plain(vr: str, value: str) -> str:
    """A date without the dots, a time without the colons of ACR-NEMA (PS3.5 6.2)."""
    return value.strip().replace("." if vr == "DA" else ":", "")


def _trimmed(vr: str, value: str) -> str:
    """A value without padding, and a name without empty components at its end."""
    value = value.strip(" \0")
    return value.rstrip("^ ").casefold() if vr == "PN" else value


def _same_number(key: str, value: str) -> bool:
    try:
        return float(key) == float(value)
    except ValueError:
        return False


def _matches_wildcards(pattern: str, text: str) -> bool:
    """``*`` is any characters, ``?`` is one; at most len(pattern) * len(text) steps.

    A regular expression would backtrack over every asterisk.
    """
    at = place = 0
    star = resume = -1
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in {"?", text[at]}:
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")
