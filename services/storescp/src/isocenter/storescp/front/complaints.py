"""What is told of connections that became no association: counted all, logged few.

A peer can connect faster than anybody reads logs, so the same peer is named with the
same reason once in a while, with the number of times since then. Others could be named
without end, AE titles being whatever a peer says: lines are limited by address, and in
all.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from isocenter.storescp import metrics

log = logging.getLogger(__name__)

_EACH_S = 60.0
_FREE = 5
"""Lines about the same before they are taken together."""
_MOST_REMEMBERED = 1024
_MOST_OF_ADDRESS, _MOST_OF_ALL = 60, 600
"""Lines in ``_EACH_S``."""


@dataclass
class _Told:
    since: float
    lines: int = 0
    kept_back: int = 0


class Complaints:
    """Counts and logs; of one thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str | None, str], _Told] = {}
        self._lines: Counter[str] = Counter()
        self._lines_since = clock()
        self._untold = 0

    def refused(
        self,
        reason: str,
        text: str,
        address: str,
        *,
        outcome: str = "refused",
        calling_ae: str | None = None,
    ) -> None:
        """Tell of one.

        Args:
            reason: one word, of a fixed set.
            text: the reason in words; holds nothing that the peer sent.
            address: the peer's.
            outcome: of the metric and the line: ``rejected``, ``tls_failed`` or
                ``refused``.
            calling_ae: its AE title, if it sent a valid one.
        """
        metrics.ASSOCIATIONS.labels(outcome).inc()
        metrics.ASSOCIATIONS_REFUSED.labels(reason).inc()
        times = self._times(address, calling_ae, reason)
        if times is None or not self._has_room(address):
            return
        extra = {"peer": address, "reason": reason, "error": text}
        if calling_ae is not None:
            extra["calling_ae"] = calling_ae
        if times == 1:
            log.warning("association %s", outcome, extra=extra)
        else:
            log.warning("association %s, %d times", outcome, times, extra=extra)

    def _has_room(self, address: str) -> bool:
        """Whether one more line may be written now; it then is."""
        now = self._clock()
        if now - self._lines_since > _EACH_S:
            if self._untold:
                log.warning(
                    "associations refused to many peers or AE titles: %d lines kept"
                    " back, see isocenter_storescp_associations_refused_total",
                    self._untold,
                )
            self._lines.clear()
            self._lines_since, self._untold = now, 0
        room = (
            self._lines[address] < _MOST_OF_ADDRESS
            and self._lines.total() < _MOST_OF_ALL
        )
        if room:
            self._lines[address] += 1
        else:
            self._untold += 1
        return room

    def _times(self, address: str, calling_ae: str | None, reason: str) -> int | None:
        """How often to say it happened, or None: not now."""
        now = self._clock()
        key = address, calling_ae, reason
        told = self._told.get(key)
        if told is None or now - told.since > _EACH_S:
            times = told.kept_back + 1 if told else 1
            self._told.pop(key, None)
            while len(self._told) >= _MOST_REMEMBERED:
                del self._told[next(iter(self._told))]
            self._told[key] = _Told(now, lines=1)
            return times
        if told.lines < _FREE:
            told.lines += 1
            return 1
        told.kept_back += 1
        return None
