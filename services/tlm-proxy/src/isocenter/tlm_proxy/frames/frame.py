"""A whole frame."""

from isocenter.core.codestream import Levels, NotACodestreamError, scan_levels
from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.frames.selection import WHOLE, Cut, Selection, cut

OVERHEAD = 2048
"""Bytes charged for keeping a frame, beside its own: keys, levels, bookkeeping."""
_PER_TILE_PART = 80
"""And for each of its tile-parts: two offsets."""
_CUTS = 16
"""Cuts remembered of a frame; viewers ask for two or three."""


def levels_of(body: bytes) -> Levels:
    """The levels of a whole frame.

    Raises:
        NotACodestreamError: it is empty, or another format.
        CodestreamError: it is a broken codestream.
    """
    if not body:
        raise NotACodestreamError("empty", offset=0)
    return scan_levels(body)


class Frame:
    """A whole frame, its levels, and where what was asked of it lies.

    Args:
        body: its bytes.
        media_type: as HealthImaging gave it.
        levels: its levels, or why it has none, if that was found as it arrived.

    Attributes:
        cost: bytes of memory that it is charged for.
        uses: how often it was used lately; the cache's.
        heads: headers of answers with it, by what was asked, while there are few;
            made once, since many ask for the same.
    """

    __slots__ = (
        "__weakref__",
        "_cuts",
        "_levels",
        "body",
        "cost",
        "heads",
        "media_type",
        "uses",
    )

    def __init__(
        self,
        body: bytes,
        media_type: str,
        levels: Levels | MalformedError | None = None,
    ) -> None:
        self.body = body
        self.media_type = media_type
        self.uses = 0
        self.heads: dict[object, bytes] = {}
        self._levels = levels
        self._cuts: dict[Selection, Cut] | None = None
        parts = len(levels.ends) if isinstance(levels, Levels) else 0
        self.cost = len(body) + OVERHEAD + _PER_TILE_PART * parts

    def cut(self, asked: Selection | None) -> Cut:
        """Where ``asked`` lies; ``stop`` is always a number.

        Raises:
            LevelsUnavailableError: levels of a frame that is not a codestream.
            LevelOutOfRangeError: it has no such level.
            MalformedError: levels of a broken codestream.
        """
        if asked is None:
            return Cut(0, len(self.body))
        if self._cuts is not None and asked in self._cuts:
            return self._cuts[asked]
        # All of it is here, so it is known where everything lies.
        found = cut(asked, self._found(), len(self.body)) or WHOLE
        if found.stop is None:
            found = found._replace(stop=len(self.body))
        if self._cuts is None:
            self._cuts = {}
        if len(self._cuts) < _CUTS:
            self._cuts[asked] = found
        return found

    def part(self, found: Cut) -> bytes | memoryview:
        """The bytes of a cut; no copy."""
        if found.start == 0 and (found.stop is None or found.stop >= len(self.body)):
            return self.body
        return memoryview(self.body)[found.start : found.stop]

    def _found(self) -> Levels | MalformedError:
        if self._levels is None:
            try:
                self._levels = levels_of(self.body)
            except MalformedError as error:
                self._levels = error.with_traceback(None)
        return self._levels
