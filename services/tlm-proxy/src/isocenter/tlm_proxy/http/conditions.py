"""Conditional and range requests (RFC 9110 sections 13 and 14). Pure.

A frame never changes under HealthImaging's ids, so its entity tag is made of
them and of the selection: no byte is hashed, and a tag can be compared before
the frame is here.
"""

import re

from isocenter.tlm_proxy.errors import RangeUnsatisfiableError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange, Selection

_TAGS = re.compile(rb'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_RANGE = re.compile(rb"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)


def entity_tag(key: FrameKey, asked: Selection | None, *, enveloped: bool) -> bytes:
    """The strong entity tag of a selection of a frame, quotes included.

    It names the frame, not where it was asked for: a tag is compared under one
    URL alone (RFC 9110 section 8.8.3).
    """
    if asked is None:
        part = ""
    elif isinstance(asked, LevelRange):
        part = f".l{asked.start}-{'' if asked.end is None else asked.end}"
    else:
        part = f".r{asked.n}"
    around = ".m" if enveloped else ""
    return f'"{key.image_set_id}.{key.frame_id}{part}{around}"'.encode("ascii")


def unchanged(if_none_match: bytes, tag: bytes) -> bool:
    """Whether If-None-Match lists ``tag`` (weak comparison, section 13.1.2).

    ``*`` is not answered here: it asks whether there is a frame at all.
    """
    return any(found[1] == tag[1:-1] for found in _TAGS.finditer(if_none_match))


def byte_range(
    asked: bytes, if_range: bytes | None, tag: bytes, length: int
) -> tuple[int, int] | None:
    """The bytes that Range asks for: first, and past the last.

    Args:
        asked: the Range header.
        if_range: the If-Range header; None for none.
        tag: the entity tag of the representation.
        length: its bytes.

    Returns:
        None where all of it is to be sent: for several ranges, other units, a
        range that can't be read, and when If-Range is of another representation
        (section 14.2 lets a server ignore Range).

    Raises:
        RangeUnsatisfiableError: the range begins past the end.
    """
    if if_range is not None and if_range.strip() != tag:
        return None
    found = _RANGE.fullmatch(asked.strip())
    if found is None:
        return None
    first, last = found[1], found[2]
    if not first:
        return _suffix(last, length)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= length:
        raise RangeUnsatisfiableError(length)
    return start, min(int(last) + 1, length) if last else length


def _suffix(last: bytes, length: int) -> tuple[int, int] | None:
    """The last bytes: ``bytes=-500``."""
    if not last:
        return None
    count = int(last)
    if not count or not length:
        raise RangeUnsatisfiableError(length)
    return max(length - count, 0), length
