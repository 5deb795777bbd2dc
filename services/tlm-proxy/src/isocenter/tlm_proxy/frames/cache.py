"""Whole frames in memory, bounded by bytes, least recently used out first.

Frames on their way in count as well: their bytes are reserved as they arrive,
so that stored and arriving frames together stay within the budget. Used from
one event loop; nothing here waits.
"""

from collections import OrderedDict

from isocenter.core.codestream import Levels, scan_levels
from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics

_SHARES = 8
"""No frame is kept that takes more than 1/8 of the budget; arriving frames
together take no more than 1/2 of it."""
_OVERHEAD = 1024
"""Bytes charged for keeping a frame, beside its own."""


class Frame:
    """A whole frame, and its levels once somebody has asked for them."""

    __slots__ = ("_levels", "body", "media_type")

    def __init__(self, body: bytes, media_type: str) -> None:
        self.body = body
        self.media_type = media_type
        self._levels: Levels | MalformedError | None = None

    @property
    def levels(self) -> Levels:
        """The frame's levels.

        Raises:
            MalformedError: it is not a codestream, or a broken one.
        """
        if self._levels is None:
            try:
                self._levels = scan_levels(self.body)
            except MalformedError as error:
                self._levels = error
        if isinstance(self._levels, MalformedError):
            raise self._levels.with_traceback(None)
        return self._levels


class Reservation:
    """Room for one arriving frame: grown as it arrives, then kept or given back."""

    def __init__(self, cache: "FrameCache") -> None:
        self._cache = cache
        self._bytes = 0
        self._done = False

    def grow(self, count: int) -> bool:
        """Take ``count`` bytes more; False if there is no room, and all is back."""
        if self._done:
            return False
        if self._bytes + count + _OVERHEAD > self._cache.max_frame or not (
            self._cache.take(count)
        ):
            self._cache.refuse()
            self.release()
            return False
        self._bytes += count
        return True

    def keep(self, key: FrameKey, frame: Frame) -> None:
        """Put the frame into the room that was taken for it."""
        if not self._done:
            self.release()
            self._cache.put(key, frame)

    def release(self) -> None:
        """Give the room back; harmless when done twice."""
        if not self._done:
            self._done = True
            self._cache.give_back(self._bytes)


class FrameCache:
    """The cache.

    Args:
        max_bytes: budget for stored and arriving frames together; 0 for no cache.
        metrics: where hits, misses, bytes and evictions are counted.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self.max_frame = max_bytes // _SHARES
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._frames: OrderedDict[FrameKey, Frame] = OrderedDict()
        self._stored = 0
        self._arriving = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def used(self) -> int:
        """Bytes of stored and arriving frames."""
        return self._stored + self._arriving

    def get(self, key: FrameKey) -> Frame | None:
        """The frame, which is now the most recently used; None on a miss."""
        frame = self._frames.get(key)
        if frame is None:
            self._metrics.cache_misses.inc()
            return None
        self._frames.move_to_end(key)
        self._metrics.cache_hits.inc()
        return frame

    def reserve(self) -> Reservation | None:
        """Room for a frame that is about to arrive; None if nothing is cached."""
        return Reservation(self) if self._max_bytes else None

    def take(self, count: int) -> bool:
        """Count ``count`` arriving bytes in, if half the budget has room for them."""
        if self._arriving + count > self._max_bytes // 2:
            return False
        self._arriving += count
        self._fit()
        return True

    def give_back(self, count: int) -> None:
        """Count ``count`` arriving bytes out."""
        self._arriving -= count
        self._measure()

    def refuse(self) -> None:
        """Count a frame that isn't kept."""
        self._metrics.cache_refusals.inc()

    def put(self, key: FrameKey, frame: Frame) -> None:
        """Store a frame, unless it is over its share."""
        cost = _cost(frame)
        if cost > self.max_frame:
            self.refuse()
            return
        old = self._frames.pop(key, None)
        if old is not None:
            self._stored -= _cost(old)
        self._frames[key] = frame
        self._stored += cost
        self._fit()

    def _fit(self) -> None:
        while self.used > self._max_bytes and self._frames:
            _, frame = self._frames.popitem(last=False)
            self._stored -= _cost(frame)
            self._metrics.cache_evictions.inc()
        self._measure()

    def _measure(self) -> None:
        self._metrics.cache_bytes.set(self.used)
        self._metrics.cache_frames.set(len(self._frames))


def _cost(frame: Frame) -> int:
    return len(frame.body) + _OVERHEAD
