"""Whole frames in memory, bounded by bytes, safe from scans.

S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO Queues are All You Need for Cache
Eviction", SOSP 2023), by bytes. New frames go through a small queue with a tenth
of the budget; one that is used twice there moves to the main queue, any other
leaves and only its name is kept for a while. So a study that is scrolled through
once passes by what others are reading. A hit counts a use, and moves nothing.

Everything that holds a frame's bytes is counted in the one budget: stored frames,
arriving ones, and frames that were put out while a slow client still reads them.
Used from one event loop; nothing here waits.
"""

import weakref
from collections import OrderedDict, deque

from isocenter.tlm_proxy.frames.frame import OVERHEAD, Frame
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics

_SHARES = 8
"""No frame is kept that takes more than 1/8 of the budget."""
_SMALL = 10
"""The small queue has 1/10 of the budget."""
_MOST_USES = 3
_USES_TO_STAY = 2


class Reservation:
    """Room for one arriving frame: grown as it arrives, then given back."""

    def __init__(self, cache: "FrameCache") -> None:
        self._cache = cache
        self._bytes = 0

    def grow(self, to: int) -> bool:
        """Have room for ``to`` bytes; False if there is none for so many."""
        more = to - self._bytes
        if more <= 0:
            return True
        if not self._cache.take(to, more):
            return False
        self._bytes = to
        return True

    def release(self) -> None:
        """Give the room back; harmless when done twice."""
        self._cache.give_back(self._bytes)
        self._bytes = 0


class FrameCache:
    """The cache.

    Args:
        max_bytes: budget for everything that holds frames; 0 for no cache.
        metrics: where hits, misses, bytes and evictions are counted.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self.max_frame = max_bytes // _SHARES
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._frames: dict[FrameKey, Frame] = {}
        self._small: deque[FrameKey] = deque()
        self._main: deque[FrameKey] = deque()
        self._ghosts: OrderedDict[int, int] = OrderedDict()
        self._ghost_bytes = 0
        self._small_bytes = 0
        self._stored = 0
        self._arriving = 0
        self._held = 0
        self._lent: dict[weakref.ref[Frame], int] = {}
        self._lent_bytes = 0
        self._hits = metrics.cache_hits
        self._misses = metrics.cache_misses
        metrics.cache_bytes.set_function(lambda: self.used)
        metrics.cache_frames.set_function(lambda: len(self._frames))

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def used(self) -> int:
        """Bytes of everything that holds frames."""
        return self._stored + self._arriving + self._held + self._lent_bytes

    def get(self, key: FrameKey) -> Frame | None:
        """The frame, which is used once more; None on a miss."""
        frame = self._frames.get(key)
        if frame is None:
            self._misses.value += 1
            return None
        self._hits.value += 1
        if frame.uses < _MOST_USES:
            frame.uses += 1
        return frame

    def peek(self, key: FrameKey) -> Frame | None:
        """The frame, without counting a hit, a miss or a use."""
        return self._frames.get(key)

    def reserve(self, size: int | None) -> Reservation | None:
        """Room for a frame that is about to arrive, of ``size`` bytes if known.

        None if it is over its share, or too many are arriving already.
        """
        room = Reservation(self)
        return room if room.grow(size or 1) else None

    def take(self, size: int, more: int) -> bool:
        """Count ``more`` bytes of an arriving frame in, which then has ``size``.

        Arriving frames, and those put out but still read, may have half the
        budget together.
        """
        waiting = self._arriving + self._held + self._lent_bytes
        over_its_share = size + OVERHEAD > self.max_frame
        if over_its_share or waiting + more > self._max_bytes // 2:
            if self._max_bytes:
                self._metrics.cache_refusals.inc()
            return False
        self._arriving += more
        self._fit()
        return True

    def give_back(self, count: int) -> None:
        """Count ``count`` arriving bytes out."""
        self._arriving -= count

    def hold(self, more: int) -> bool:
        """Count bytes in (or out) that are here whatever the budget says.

        Returns:
            Whether all that is held so stays within its eighth of the budget.
        """
        self._held += more
        if more > 0:
            self._fit()
        return self._held <= self.max_frame

    def lend(self, frame: Frame) -> None:
        """Count a frame that isn't stored, for as long as anything refers to it."""
        self._lent[weakref.ref(frame, self._returned)] = frame.cost
        self._lent_bytes += frame.cost

    def put(self, key: FrameKey, frame: Frame) -> None:
        """Store a frame; one over its share is not."""
        if frame.cost > self.max_frame:
            if self._max_bytes:
                self._metrics.cache_refusals.inc()
            self.lend(frame)
            return
        if key in self._frames:
            self.lend(frame)
            return
        known = self._ghosts.pop(hash(key), None)
        self._frames[key] = frame
        self._stored += frame.cost
        if known is None:
            self._small.append(key)
            self._small_bytes += frame.cost
        else:
            self._ghost_bytes -= known
            self._main.append(key)
        self._fit()

    def _fit(self) -> None:
        while self.used > self._max_bytes and self._frames:
            if self._small and (
                self._small_bytes > self._max_bytes // _SMALL or not self._main
            ):
                self._leave_small()
            else:
                self._leave_main()

    def _leave_small(self) -> None:
        key = self._small.popleft()
        frame = self._frames[key]
        self._small_bytes -= frame.cost
        if frame.uses >= _USES_TO_STAY:
            frame.uses = 0
            self._main.append(key)
            return
        self._ghosts[hash(key)] = frame.cost
        self._ghost_bytes += frame.cost
        while self._ghost_bytes > self._max_bytes:
            self._ghost_bytes -= self._ghosts.popitem(last=False)[1]
        self._put_out(key)

    def _leave_main(self) -> None:
        key = self._main.popleft()
        frame = self._frames[key]
        if frame.uses:
            frame.uses -= 1
            self._main.append(key)
        else:
            self._put_out(key)

    def _put_out(self, key: FrameKey) -> None:
        frame = self._frames.pop(key)
        self._stored -= frame.cost
        self._metrics.cache_evictions.inc()
        # Counted out again when the last reader has let go of it.
        self.lend(frame)

    def _returned(self, ref: weakref.ref[Frame]) -> None:
        self._lent_bytes -= self._lent.pop(ref)
