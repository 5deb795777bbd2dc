"""Which bytes of a frame a request means. Pure.

Levels, as the AWS sample's proxy has them: without any the whole frame;
startLevel alone up to the frame's end; endLevel alone from the frame's start; an
endLevel past the last level is the frame's end, EOC included. Unlike the sample,
which answers an empty 200, a startLevel that is not there is an error.

``reduce=N`` is what can be decoded at 1/2^N of width and height, found for each
frame from its COD and its tile-parts. A viewer asks it of every frame, so it has
an answer for every frame: the whole where a part isn't known to do.
"""

import re
from typing import NamedTuple

from isocenter.core.codestream import CodestreamError, Levels, NotACodestreamError
from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.errors import (
    BadRequestError,
    LevelOutOfRangeError,
    LevelsUnavailableError,
)

_NUMBER = re.compile(r"[0-9]{1,5}")


class LevelRange(NamedTuple):
    """Levels ``start`` to ``end``, both included; ``end`` None is the last byte."""

    start: int
    end: int | None


class Reduce(NamedTuple):
    """What decodes at 1/2^n of the frame's width and height."""

    n: int


Selection = LevelRange | Reduce
"""What may be asked of a frame; None stands for all of it."""


class Cut(NamedTuple):
    """Where asked bytes lie in a frame.

    Attributes:
        start: offset of the first byte.
        stop: offset past the last byte that is known to belong to it; None for
            the end of the frame.
        final: ``stop`` will not grow.
        asked: what it was cut for, unless it is the whole or a byte range.
    """

    start: int
    stop: int | None
    final: bool = True
    asked: Selection | None = None


WHOLE = Cut(0, None)


def parse_selection(
    start_level: str | None, end_level: str | None, reduce: str | None
) -> Selection | None:
    """What a query asks for; None for the whole frame.

    An empty parameter counts as none, as in the sample's proxy.

    Raises:
        BadRequestError: not a number, an empty range, or levels and reduce at once.
    """
    first = _number("startLevel", start_level)
    last = _number("endLevel", end_level)
    n = _number("reduce", reduce)
    if n is not None:
        if first is not None or last is not None:
            raise BadRequestError("reduce goes without startLevel and endLevel")
        return Reduce(n) if n else None
    if last is None and not first:
        return None
    if last is not None and (first or 0) > last:
        raise BadRequestError(f"startLevel {first} is after endLevel {last}")
    return LevelRange(first or 0, last)


def _number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name} must be a number from 0 to 99999")
    return int(text)


def cut(
    asked: Selection | None, levels: Levels | MalformedError, size: int | None
) -> Cut | None:
    """Where ``asked`` lies, as far as ``levels`` tells.

    Args:
        asked: what is wanted.
        levels: what is known of the frame's levels, or why they can't be told.
        size: bytes of the frame, None if not known.

    Returns:
        None while it can't be said where ``asked`` begins, or whether it is there.

    Raises:
        LevelsUnavailableError: levels of a frame that is not a codestream.
        LevelOutOfRangeError: the frame has no level ``asked.start``.
        CodestreamError: levels of a broken codestream.
    """
    if asked is None:
        return WHOLE
    if isinstance(asked, Reduce):
        if isinstance(levels, MalformedError) or _past(levels, size):
            return WHOLE
        return _reduced(asked, levels)
    if isinstance(levels, NotACodestreamError):
        raise LevelsUnavailableError(
            "the frame is not an HTJ2K or JPEG 2000 codestream, so it has no "
            "levels: ask for it without startLevel and endLevel"
        )
    if isinstance(levels, MalformedError):
        # One object for every reader: without the places it was raised before.
        raise levels.with_traceback(None)
    if _past(levels, size):
        raise CodestreamError(
            f"tile-part {len(levels.ends) - 1} ends after the frame's {size} bytes",
            offset=levels.ends[-1],
        )
    return _between(asked, levels)


def needed_from(asked: Selection | None, levels: Levels | MalformedError) -> int:
    """Offset before which no byte is wanted, whatever ``cut`` will say."""
    if not isinstance(asked, LevelRange) or isinstance(levels, MalformedError):
        return 0
    known = min(asked.start, len(levels.ends))
    return levels.ends[known - 1] if known else 0


def _past(levels: Levels, size: int | None) -> bool:
    return bool(levels.ends) and size is not None and levels.ends[-1] > size


def _between(asked: LevelRange, levels: Levels) -> Cut | None:
    ends = levels.ends
    if asked.start >= len(ends):
        if levels.complete:
            raise LevelOutOfRangeError(
                f"startLevel {asked.start} is not there: the frame has "
                f"{len(ends)} levels, 0 to {len(ends) - 1}"
            )
        return None
    start = ends[asked.start - 1] if asked.start else 0
    if asked.end is not None and asked.end < len(ends):
        return Cut(start, ends[asked.end], asked=asked)
    if levels.complete or asked.end is None:
        return Cut(start, None, asked=asked if start else None)
    return Cut(start, ends[-1], final=False, asked=asked)


def _reduced(asked: Reduce, levels: Levels) -> Cut | None:
    resolutions = levels.resolutions()
    if resolutions is None:
        # Not even the first tile-part is here, or it doesn't say how many follow.
        return WHOLE if levels.complete else None
    last = max(resolutions - 1 - asked.n, 0)
    if last >= resolutions - 1:
        return WHOLE
    ends = levels.ends
    if last < len(ends):
        return Cut(0, ends[last], asked=asked)
    # Fewer tile-parts than the SOT said: as many as there are.
    return WHOLE if levels.complete else None
