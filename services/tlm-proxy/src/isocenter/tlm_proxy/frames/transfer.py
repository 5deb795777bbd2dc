"""Frames and their levels: from the cache, or from HealthImaging as they arrive.

HealthImaging is asked once for a frame. What a client asked for is passed on
piece by piece; once it has all of it, the rest of the frame is read on into the
cache. A client that goes away before closes the call to HealthImaging.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from isocenter.core.codestream import LevelScanner, NotACodestreamError
from isocenter.core.errors import IsocenterError, MalformedError
from isocenter.tlm_proxy.errors import LevelsUnavailableError
from isocenter.tlm_proxy.frames.cache import Frame, FrameCache, Reservation
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Cut, LevelRange, cut
from isocenter.tlm_proxy.metrics import Metrics

log = logging.getLogger(__name__)

LEVELS_MEDIA_TYPE = "application/octet-stream"
"""A range of levels is not an image by itself; the AWS sample's type for it."""
_READ_ON_S = 120
"""Seconds that reading on a frame for the cache may take."""
_WHOLE = Cut(0, None, final=True)


class ArrivingFrame(Protocol):
    """A frame that has begun to arrive."""

    media_type: str
    size: int | None

    def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes, to the end."""

    def close(self) -> None:
        """Stop its arriving."""


class FrameSource(Protocol):
    """Where frames come from."""

    async def frame(self, key: FrameKey) -> ArrivingFrame:
        """The frame, once it has begun to arrive."""


@dataclass(frozen=True)
class Stored:
    """Bytes that are here."""

    media_type: str
    body: bytes | memoryview


class Transfer:
    """One frame on its way from HealthImaging to one client."""

    def __init__(
        self,
        key: FrameKey,
        arriving: ArrivingFrame,
        asked: LevelRange | None,
        room: Reservation | None,
    ) -> None:
        self._key = key
        self._arriving = arriving
        self._asked = asked
        self._room = room
        self._pieces = arriving.pieces()
        self._scanner = LevelScanner() if asked else None
        self._kept: list[bytes] = []
        self._unsent: list[bytes] = []
        self._unsent_at = 0
        self._arrived = 0
        self._ended = False
        self._cut = None if asked else _WHOLE

    @property
    def media_type(self) -> str:
        """Of what is sent."""
        return LEVELS_MEDIA_TYPE if self._asked else self._arriving.media_type

    @property
    def length(self) -> int | None:
        """Bytes that will be sent; None while that isn't known."""
        if self._cut is None or not self._cut.final:
            return None
        stop = self._arriving.size if self._cut.stop is None else self._cut.stop
        return None if stop is None else stop - self._cut.start

    async def locate(self) -> None:
        """Read until it is known where the asked levels begin.

        Raises:
            LevelsUnavailableError: the frame is not a codestream.
            LevelOutOfRangeError: it has no such level.
            MalformedError: it is a broken codestream.
            AwsError: it stopped arriving.
        """
        while self._cut is None:
            await self._read()

    async def body(self) -> AsyncIterator[bytes]:
        """The asked bytes, as they arrive.

        Raises:
            MalformedError: the codestream turns out to be broken.
            AwsError: the frame stopped arriving.
        """
        while True:
            piece = self._ready()
            if piece:
                yield piece
            if self._ended or self._sent_all():
                return
            await self._read()

    async def rest(self) -> Frame | None:
        """Read what has not arrived; the whole frame if there is room for it."""
        while self._room is not None and not self._ended:
            self._unsent.clear()
            await self._read()
        if self._room is None:
            return None
        return Frame(b"".join(self._kept), self._arriving.media_type)

    def keep(self, frame: Frame) -> None:
        """Store a frame in the room reserved for it."""
        if self._room is not None:
            self._room.keep(self._key, frame)

    def close(self) -> None:
        """Stop the frame's arriving, if it hasn't all arrived; give room back."""
        self._arriving.close()
        if self._room is not None:
            self._room.release()
        self._kept.clear()

    async def _read(self) -> None:
        """Take the next piece that arrives, or notice the end."""
        piece = await anext(self._pieces, None)
        if piece is None:
            self._ended = True
        else:
            self._arrived += len(piece)
            self._unsent.append(piece)
            if self._room is not None:
                if self._room.grow(len(piece)):
                    self._kept.append(piece)
                else:
                    self._room = None
                    self._kept.clear()
        self._scan(piece)

    def _scan(self, piece: bytes | None) -> None:
        """Learn from a piece (None: the end) where the asked levels lie."""
        if self._scanner is None or self._asked is None or self._sent_all():
            return
        with _levels_wanted():
            if piece is None:
                self._scanner.finish()
            else:
                self._scanner.feed(piece)
        if self._cut is None or not self._cut.final:
            size = self._arrived if piece is None else self._arriving.size
            self._cut = cut(self._asked, self._scanner.levels, size)

    def _sent_all(self) -> bool:
        found = self._cut
        return (
            found is not None
            and found.final
            and found.stop is not None
            and self._unsent_at >= found.stop
        )

    def _ready(self) -> bytes:
        """Take out the bytes that have arrived, are asked for and are not sent."""
        if self._cut is None or not self._unsent:
            return b""
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        at, stop = self._unsent_at, self._cut.stop
        last = self._arrived if stop is None else min(stop, self._arrived)
        first = max(self._cut.start, at)
        ready = data[first - at : last - at] if first < last else b""
        if self._cut.final:
            self._unsent.clear()
            self._unsent_at = self._arrived
        else:
            # Whether what follows is asked for will be known after the next SOT.
            self._unsent = [data[last - at :]]
            self._unsent_at = last
        return ready


class Frames:
    """All frames, through the cache.

    Args:
        source: HealthImaging.
        cache: where whole frames are kept.
        metrics: where what is read on in vain is counted.
    """

    def __init__(
        self, source: FrameSource, cache: FrameCache, metrics: Metrics
    ) -> None:
        self._source = source
        self._cache = cache
        self._metrics = metrics
        self._reading_on: set[asyncio.Task[None]] = set()

    def stored(self, key: FrameKey, asked: LevelRange | None) -> Stored | None:
        """The asked bytes, if the frame is in the cache.

        Raises:
            LevelsUnavailableError: the frame is not a codestream.
            LevelOutOfRangeError: it has no such level.
            MalformedError: it is a broken codestream.
        """
        frame = self._cache.get(key)
        if frame is None:
            return None
        if asked is None:
            return Stored(frame.media_type, frame.body)
        with _levels_wanted():
            levels = frame.levels
        found = cut(asked, levels, len(frame.body))
        if found is None:
            raise MalformedError(f"frame {key.frame_id} has no end")
        return Stored(
            LEVELS_MEDIA_TYPE, memoryview(frame.body)[found.start : found.stop]
        )

    async def transfer(self, key: FrameKey, asked: LevelRange | None) -> Transfer:
        """Ask HealthImaging for the frame, and read up to where ``asked`` begins.

        The caller hands the transfer to ``done`` or closes it.

        Raises:
            IsocenterError: as ``stored``, or an AwsError.
        """
        arriving = await self._source.frame(key)
        transfer = Transfer(key, arriving, asked, self._cache.reserve())
        try:
            await transfer.locate()
        except BaseException:
            transfer.close()
            raise
        return transfer

    def done(self, transfer: Transfer) -> None:
        """Read on what the client did not ask for, into the cache, by and by."""
        task = asyncio.create_task(self._read_on(transfer))
        self._reading_on.add(task)
        task.add_done_callback(self._reading_on.discard)

    async def aclose(self) -> None:
        """Stop what is being read on."""
        tasks = list(self._reading_on)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_on(self, transfer: Transfer) -> None:
        try:
            async with asyncio.timeout(_READ_ON_S):
                frame = await transfer.rest()
            if frame is not None:
                transfer.keep(frame)
        except (IsocenterError, TimeoutError) as error:
            self._metrics.broken_off.labels("reading on").inc()
            log.info("a frame was not read to its end", extra={"error": str(error)})
        finally:
            transfer.close()


@contextmanager
def _levels_wanted() -> Iterator[None]:
    """Levels are asked of what is read inside: say so if it has none."""
    try:
        yield
    except NotACodestreamError as error:
        raise LevelsUnavailableError(
            "the frame is not an HTJ2K or JPEG 2000 codestream, so it has no "
            "levels: ask for it without startLevel and endLevel"
        ) from error
