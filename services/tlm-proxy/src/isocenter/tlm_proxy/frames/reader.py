"""One client's view of a frame that arrives, or has arrived."""

from collections.abc import AsyncIterator

from isocenter.core.codestream import CodestreamError
from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.frames.flight import Flight
from isocenter.tlm_proxy.frames.selection import (
    WHOLE,
    Cut,
    LevelRange,
    Reduce,
    Selection,
    needed_from,
)

PIECE = 256 * 1024
"""Most bytes that are handed out at a time."""
_BEYOND = 1 << 62
"""Where a reader stands that needs no more bytes."""


class Reader:
    """Use in this order: ``locate`` once, ``pieces`` once, ``close`` in any case."""

    def __init__(self, flight: Flight) -> None:
        self.at = 0
        self._flight = flight
        self._finished = False
        self._closed = False
        flight.join(self)

    @property
    def media_type(self) -> str:
        """Of the whole frame, as HealthImaging gave it."""
        return self._flight.media_type

    @property
    def size(self) -> int | None:
        """Bytes of the whole frame; None while not known."""
        return self._flight.size

    async def opened(self) -> None:
        """Wait until HealthImaging has begun to answer.

        Raises:
            IsocenterError: it did not.
        """
        while not self._flight.opened:
            await self._more()

    async def locate(self, asked: Selection | None, *, exact: bool = False) -> Cut:
        """Wait until it is known where ``asked`` (None: all of it) lies.

        Of the whole frame one byte has arrived then, or it is empty.

        Args:
            asked: what is wanted.
            exact: wait until its end is known too: the cut is final. Only where
                the frame has no TLM, is too big to be kept, and ``asked`` is
                longer than the window, it is not final all the same.

        Raises:
            LevelsUnavailableError: levels of a frame that is not a codestream.
            LevelOutOfRangeError: it has no such level.
            MalformedError: levels of a broken codestream.
            IsocenterError: the frame stopped arriving.
        """
        flight = self._flight
        while True:
            held_up = flight.held_up_by(self)
            found = flight.cut(asked) if flight.end or flight.ended else None
            if found is None and held_up:
                found = _last_resort(asked, flight.end)
            if found is not None and (found.final or held_up or not exact):
                self._move(found.start)
                return found
            self._move(needed_from(asked, flight.levels))
            await self._more()

    async def pieces(self, found: Cut) -> AsyncIterator[bytes | memoryview]:
        """The bytes of a cut, as they arrive, ``PIECE`` at most at a time.

        Args:
            found: from ``locate``, or a part of it.

        Raises:
            CodestreamError: levels were asked for, and the codestream turns out to
                be broken. A reduced part goes on: what has left can't become the
                whole any more.
            IsocenterError: the frame stopped arriving.
        """
        flight = self._flight
        at = found.start
        self._move(at)
        while True:
            if not found.final:
                found = flight.cut(found.asked) or found
            elif isinstance(found.asked, LevelRange):
                flight.require_levels()
            stop = flight.end if found.stop is None else min(found.stop, flight.end)
            if at < stop:
                piece = flight.read(at, min(stop, at + PIECE))
                at += len(piece)
                self._move(at)
                yield piece
            elif found.final and at == found.stop:
                break
            elif flight.ended:
                if found.stop is not None:
                    raise MalformedError(
                        f"the frame ended {found.stop - at} bytes too early"
                    )
                break
            else:
                await self._more()
        self._finished = True
        self._move(_BEYOND)

    def close(self) -> None:
        """Read no further; harmless when done twice."""
        if not self._closed:
            self._closed = True
            self._flight.leave(self, finished=self._finished)

    async def _more(self) -> None:
        if self._flight.error is not None:
            raise self._flight.error.with_traceback(None)
        await self._flight.changed()

    def _move(self, to: int) -> None:
        if to > self.at:
            self.at = to
            self._flight.advance()


def _last_resort(asked: Selection | None, window: int) -> Cut:
    """What to give of a frame of which no more can be read ahead."""
    if asked is None or isinstance(asked, Reduce):
        return WHOLE
    raise CodestreamError("no level found so far, and no room to go on", offset=window)
