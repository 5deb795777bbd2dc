"""All frames: from the cache, or by the one flight of each."""

import asyncio
from collections.abc import Callable

from isocenter.tlm_proxy.frames.cache import FrameCache
from isocenter.tlm_proxy.frames.flight import Flight
from isocenter.tlm_proxy.frames.frame import Frame
from isocenter.tlm_proxy.frames.key import FrameKey, Store
from isocenter.tlm_proxy.frames.reader import Reader
from isocenter.tlm_proxy.frames.selection import (
    WHOLE,
    Cut,
    LevelRange,
    Reduce,
    Selection,
    parse_selection,
)
from isocenter.tlm_proxy.frames.source import ArrivingFrame, FrameSource
from isocenter.tlm_proxy.metrics import Metrics

__all__ = [
    "WHOLE",
    "ArrivingFrame",
    "Cut",
    "Frame",
    "FrameKey",
    "FrameSource",
    "Frames",
    "LevelRange",
    "Reader",
    "Reduce",
    "Selection",
    "Store",
    "parse_selection",
]


class Frames:
    """All frames; one object per process, used from its event loop.

    Args:
        source: HealthImaging.
        max_bytes: memory for frames, stored and on their way; 0 for no cache.
        metrics: hits, misses, joined readers, malformed frames, bytes.

    Attributes:
        stored: the frame of a key if it is in the cache, else None; counts a hit
            or a miss. The caller keeps the Frame for as long as it sends its body:
            that is how its memory is counted.
    """

    stored: Callable[[FrameKey], Frame | None]

    def __init__(self, source: FrameSource, max_bytes: int, metrics: Metrics) -> None:
        self._source = source
        self._cache = FrameCache(max_bytes, metrics)
        self._metrics = metrics
        self._flights: dict[FrameKey, Flight] = {}
        self._tasks: dict[asyncio.Task[None], Flight] = {}
        self.stored = self._cache.get

    async def open(self, key: FrameKey, client: str) -> Reader:
        """A reader of the frame, once it has begun to arrive; to be closed.

        Whoever asks while it arrives joins in: HealthImaging is called once. The
        next request after a failure calls again.

        Args:
            key: which frame.
            client: on whose account HealthImaging is called, if it is.

        Raises:
            IsocenterError: HealthImaging's answer, the same to all who wait for it.
        """
        reader = Reader(self._flight(key, client))
        try:
            await reader.opened()
        except BaseException:
            reader.close()
            raise
        return reader

    def stop_unread(self) -> None:
        """Close the calls whose frames arrive for nobody but the cache."""
        for flight in list(self._tasks.values()):
            if not flight.read_by:
                flight.stop()

    async def aclose(self) -> None:
        """Close all calls; who still reads is told so."""
        tasks = dict(self._tasks)
        for flight in tasks.values():
            flight.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _flight(self, key: FrameKey, client: str) -> Flight:
        flight = self._flights.get(key)
        if flight is not None:
            self._metrics.joined.inc()
            return flight
        flight = Flight(key, self._cache, self._metrics, self._forget)
        frame = self._cache.peek(key)
        if frame is not None:
            flight.land_with(frame)
            return flight
        self._flights[key] = flight
        task = flight.start(self._source, client)
        self._tasks[task] = flight
        task.add_done_callback(self._tasks.pop)
        return flight

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
