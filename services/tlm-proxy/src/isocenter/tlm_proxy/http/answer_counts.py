"""Answers, their seconds and bytes, counted cheaply.

prometheus_client's own take a lock for each figure, which together is a tenth of a
warm answer. These are plain numbers, changed by one event loop and read by
whichever thread is asked for them.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CACHE, UPSTREAM = "cache", "upstream"


class _Route:
    """One route's answers."""

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self, buckets: int) -> None:
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * buckets
        self.seconds = 0.0


class AnswerCounts(Collector):
    """All of them.

    Args:
        prefix: before each metric's name.
        bounds: upper bounds of the histogram's buckets, in seconds, without
            infinity.

    Attributes:
        sent: bytes of frames sent, by source.
    """

    def __init__(self, prefix: str, bounds: Sequence[float]) -> None:
        self.sent = {CACHE: 0, UPSTREAM: 0}
        self._prefix = prefix
        self._bounds = list(bounds)
        self._routes: dict[str, _Route] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        counts = self._routes.get(route)
        if counts is None:
            counts = self._routes[route] = _Route(len(self._bounds) + 1)
        counts.statuses[status] = counts.statuses.get(status, 0) + 1
        counts.buckets[bisect_left(self._bounds, seconds)] += 1
        counts.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Prometheus's view of them."""
        requests = CounterMetricFamily(
            f"{self._prefix}requests",
            "Requests answered, by route and status.",
            labels=["route", "status"],
        )
        seconds = HistogramMetricFamily(
            f"{self._prefix}request_seconds",
            "Seconds from a request's headers to the end of its answer, by route.",
            labels=["route"],
        )
        # A copy: another route may begin meanwhile.
        for route, counts in list(self._routes.items()):
            for status, count in list(counts.statuses.items()):
                requests.add_metric([route, str(status)], count)
            upto = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip(
                (*map(str, self._bounds), "+Inf"), list(counts.buckets), strict=True
            ):
                upto += count
                buckets.append((bound, upto))
            seconds.add_metric([route], buckets, counts.seconds)
        sent = CounterMetricFamily(
            f"{self._prefix}sent_bytes",
            "Bytes of frames sent to clients, by where they came from.",
            labels=["source"],
        )
        for source, count in list(self.sent.items()):
            sent.add_metric([source], count)
        yield from (requests, seconds, sent)
