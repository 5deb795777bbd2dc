"""A frame on its way from HealthImaging, with everybody who reads it.

One call, any number of readers. As long as the cache has room for the frame, its
bytes are kept from the first on: a reader may join at any time, a slow one keeps
nobody waiting, and the frame ends up in the cache. A frame without room is read
no further than a window ahead of its slowest reader, and what all have read is
forgotten; from then on nobody can join.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from isocenter.core.codestream import CodestreamError, Levels
from isocenter.core.errors import IsocenterError, UnavailableError
from isocenter.tlm_proxy.frames.arrived import ArrivedBytes, ArrivedLevels
from isocenter.tlm_proxy.frames.cache import FrameCache, Reservation
from isocenter.tlm_proxy.frames.frame import Frame
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Cut, Selection, cut
from isocenter.tlm_proxy.frames.source import ArrivingFrame, FrameSource
from isocenter.tlm_proxy.metrics import Metrics

log = logging.getLogger(__name__)

WINDOW = 1024 * 1024
"""Bytes read ahead of the slowest reader of a frame that isn't kept,"""
LEAST_WINDOW = 64 * 1024
"""and if the windows of all such frames have used up their share."""
READ_ON_S = 120.0
"""Seconds that a frame may go on arriving for nobody but the cache."""


class Place(Protocol):
    """A reader, as its flight sees it."""

    at: int
    """Offset of the first byte that it still needs."""


class Flight:
    """One frame on its way.

    Args:
        key: which frame.
        cache: counts its bytes, and keeps it in the end.
        metrics: counts what is malformed or broken off.
        forget: called once nobody may join any more.

    Attributes:
        opened: HealthImaging has begun to answer.
        media_type: as HealthImaging gave it, once opened.
        size: bytes of the whole frame; None while not known.
        ended: all of it has arrived.
        error: why it will not.
        frame: the whole frame, once it has arrived and if it was kept.
        stalled: it waits for its slowest reader.
    """

    def __init__(
        self,
        key: FrameKey,
        cache: FrameCache,
        metrics: Metrics,
        forget: Callable[["Flight"], None],
    ) -> None:
        self.key = key
        self.opened = self.ended = self.stalled = False
        self.media_type = ""
        self.size: int | None = None
        self.error: Exception | None = None
        self.frame: Frame | None = None
        self._levels = ArrivedLevels()
        self._cache = cache
        self._metrics = metrics
        self._forget = forget
        self._arrived = ArrivedBytes()
        self._room: Reservation | None = None
        self._held = 0
        self._window = WINDOW
        self._readers: set[Place] = set()
        self._finished_readers = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._resume: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    @property
    def end(self) -> int:
        """Bytes that have arrived."""
        return self._arrived.end

    @property
    def kept(self) -> bool:
        """All of it is here or will be, for as long as anybody reads it."""
        return self._room is not None or self.frame is not None

    @property
    def read_by(self) -> int:
        """How many readers it has."""
        return len(self._readers)

    def start(self, source: FrameSource, client: str) -> asyncio.Task[None]:
        """Begin to read the frame, on the account of ``client``."""
        self._task = asyncio.create_task(self._fly(source, client))
        return self._task

    def land_with(self, frame: Frame) -> None:
        """Have arrived already, with a frame of the cache."""
        self.media_type = frame.media_type
        self.size = self._arrived.start = self._arrived.end = len(frame.body)
        self.frame = frame
        self.opened = self.ended = True

    def join(self, reader: Place) -> None:
        """Take part, from the first byte on."""
        self._readers.add(reader)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def leave(self, reader: Place, *, finished: bool) -> None:
        """Take part no longer.

        After the last reader a frame that is kept is read on if any reader got all
        it wanted; if none did, nobody is left to want it, and the call is closed.
        """
        self._readers.discard(reader)
        self._finished_readers += finished
        if self._readers:
            self.advance()
        elif self.ended or self.error is not None:
            self._clear()
        elif self._room is not None and self._finished_readers:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(READ_ON_S, self._give_up)
        else:
            self.stop()

    def stop(self) -> None:
        """Close the call; whoever still reads is told so."""
        self._fail(UnavailableError("the reading of the frame was stopped"))
        if self._task is not None:
            self._task.cancel()

    async def changed(self) -> None:
        """Wait for more bytes, the end, a failure, or a stall."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def cut(self, asked: Selection | None) -> Cut | None:
        """Where ``asked`` lies; None while it isn't known. Raises as Frame.cut."""
        if self.frame is not None:
            return self.frame.cut(asked)
        return cut(asked, self._levels.known, self.size)

    @property
    def levels(self) -> Levels | CodestreamError:
        """What is known of its levels, or why they can't be told."""
        return self._levels.known

    def require_levels(self) -> None:
        """Raise CodestreamError if the codestream has turned out to be broken."""
        if isinstance(self.levels, CodestreamError):
            raise self.levels.with_traceback(None)

    def read(self, at: int, stop: int) -> bytes | memoryview:
        """Bytes ``at`` to ``stop``, which have to have arrived."""
        if self.frame is not None:
            return memoryview(self.frame.body)[at:stop]
        return self._arrived.read(at, stop)

    def held_up_by(self, reader: Place) -> bool:
        """It waits for this reader, or for one that is as slow."""
        return self.stalled and reader.at <= self._slowest()

    def advance(self) -> None:
        """A reader has moved on or left: forget what all have read, read on."""
        if self.kept or self.error is not None:
            return
        read = min(self._slowest(), self.end)
        if read - self._arrived.start >= self._window // 2:
            self._hold(-self._arrived.drop_before(read))
            self._forget(self)
        if self._resume is not None and not self._full():
            self._resume.set_result(None)
            self._resume = None

    async def _fly(self, source: FrameSource, client: str) -> None:
        arriving: ArrivingFrame | None = None
        try:
            arriving = await source.frame(self.key, client)
            self._open(arriving)
            async for piece in arriving.pieces():
                self._take(piece)
                while not self.kept and self._full():
                    await self._stall()
            self._land()
        except IsocenterError as error:
            if not self._readers:
                self._in_vain(str(error))
            self._fail(error)
        except Exception as error:  # whatever it is, readers wait for it
            log.exception(
                "a frame could not be read", extra={"frame_id": self.key.frame_id}
            )
            self._fail(error)
        finally:
            if arriving is not None:
                arriving.close()

    def _open(self, arriving: ArrivingFrame) -> None:
        self.media_type = arriving.media_type
        self.size = arriving.size
        self._room = self._cache.reserve(self.size)
        if self._room is not None and self.size is not None:
            self._arrived.expect(self.size)
        self.opened = True
        self._wake()

    def _take(self, piece: bytes) -> None:
        self._arrived.append(piece)
        if self.size is not None and self.end > self.size:
            raise UnavailableError(
                f"frame {self.key.frame_id} is longer than its {self.size} bytes"
            )
        if self._room is None:
            self._hold(len(piece))
        elif not self._room.grow(self.end):
            self._room.release()
            self._room = None
            self._hold(len(self._arrived))
        if not self._levels.malformed:
            self._levels.feed(piece)
            self._notice_malformed()
        self._wake()

    def _land(self) -> None:
        if self.size is not None and self.end < self.size:
            raise UnavailableError(
                f"frame {self.key.frame_id} ended after {self.end} of {self.size} bytes"
            )
        if not self._levels.malformed:
            self._levels.finish(self.end)
            self._notice_malformed()
        self.size = self.end
        if self._room is not None:
            self.frame = Frame(self._arrived.take(), self.media_type, self.levels)
            self._room.release()
            self._room = None
            self._cache.put(self.key, self.frame)
        self.ended = True
        self._over()

    def _notice_malformed(self) -> None:
        if self._levels.malformed:
            self._metrics.malformed.inc()
            log.warning(
                "a codestream is malformed",
                extra={"frame_id": self.key.frame_id, "error": str(self.levels)},
            )

    def _fail(self, error: Exception) -> None:
        if self.ended or self.error is not None:
            return
        self.error = error.with_traceback(None)
        self._over()

    def _over(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._forget(self)
        self._wake()
        if not self._readers:
            self._clear()

    def _clear(self) -> None:
        """Nobody reads what has arrived any more: give its room back."""
        self._arrived.take()
        if self._room is not None:
            self._room.release()
        self._hold(-self._held)

    def _give_up(self) -> None:
        self._patience = None
        self._in_vain(f"not all of it within {READ_ON_S} s")
        self.stop()

    def _in_vain(self, reason: str) -> None:
        self._metrics.broken_off.labels("reading on").inc()
        log.info(
            "a frame was not read to its end",
            extra={"frame_id": self.key.frame_id, "error": reason},
        )

    async def _stall(self) -> None:
        self._resume = asyncio.get_running_loop().create_future()
        self.stalled = True
        self._wake()
        try:
            await self._resume
        finally:
            self.stalled = False

    def _hold(self, more: int) -> None:
        """Count bytes in (or out) that are here though there is no room for them."""
        if more:
            self._held += more
            within = self._cache.hold(more)
            self._window = WINDOW if within else LEAST_WINDOW

    def _full(self) -> bool:
        return self.end - self._slowest() >= self._window

    def _slowest(self) -> int:
        return min((reader.at for reader in self._readers), default=self.end)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
