"""Which bytes of a frame a request for levels means. Pure.

As the AWS sample's proxy has it: without levels the whole frame; startLevel
alone up to the frame's end; endLevel alone from the frame's start; an endLevel
past the last level is the frame's end, EOC included. Unlike the sample, which
answers an empty 200, a startLevel that is not there is an error.
"""

import re
from dataclasses import dataclass

from isocenter.core.codestream import CodestreamError, Levels
from isocenter.tlm_proxy.errors import BadRequestError, LevelOutOfRangeError

_LEVEL = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class LevelRange:
    """Levels ``start`` to ``end``, both included; ``end`` None is the last byte."""

    start: int
    end: int | None


@dataclass(frozen=True)
class Cut:
    """Where a range of levels lies in a frame.

    Attributes:
        start: offset of the first byte.
        stop: offset past the last byte that is known to belong to it; None for
            the end of the frame.
        final: ``stop`` will not grow.
    """

    start: int
    stop: int | None
    final: bool


def parse_levels(start: str | None, end: str | None) -> LevelRange | None:
    """The levels of a query; None for the whole frame.

    Raises:
        BadRequestError: not a number, or an empty range.
    """
    first = _level("startLevel", start)
    last = _level("endLevel", end)
    if last is None and not first:
        return None
    if last is not None and (first or 0) > last:
        raise BadRequestError(f"startLevel {first} is after endLevel {last}")
    return LevelRange(first or 0, last)


def _level(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not _LEVEL.fullmatch(text):
        raise BadRequestError(f"{name} must be a number from 0 to 99999")
    return int(text)


def cut(asked: LevelRange, levels: Levels, size: int | None) -> Cut | None:
    """Where ``asked`` lies, as far as ``levels`` tells.

    Args:
        asked: the levels wanted.
        levels: what is known of the frame's levels.
        size: bytes of the frame, None if not known.

    Returns:
        None while it can't be said where ``asked`` begins, or whether it is there.

    Raises:
        LevelOutOfRangeError: the frame has no level ``asked.start``.
        CodestreamError: a level ends after the frame does.
    """
    ends = levels.ends
    if ends and size is not None and ends[-1] > size:
        raise CodestreamError(
            f"tile-part {len(ends) - 1} ends after the frame's {size} bytes",
            offset=ends[-1],
        )
    if asked.start >= len(ends):
        if levels.complete:
            raise LevelOutOfRangeError(
                f"startLevel {asked.start} is not there: the frame has "
                f"{len(ends)} levels, 0 to {len(ends) - 1}"
            )
        return None
    start = ends[asked.start - 1] if asked.start else 0
    if asked.end is not None and asked.end < len(ends):
        return Cut(start, ends[asked.end], final=True)
    if levels.complete or asked.end is None:
        return Cut(start, None, final=True)
    return Cut(start, ends[-1], final=False)
