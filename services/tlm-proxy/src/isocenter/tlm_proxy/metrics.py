"""The proxy's Prometheus metrics."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "isocenter_tlm_proxy_"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All of them, in one registry; tests give each its own."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.requests = Counter(
            f"{_PREFIX}requests",
            "Requests answered, by status.",
            ["status"],
            registry=registry,
        )
        self.sent_bytes = Counter(
            f"{_PREFIX}sent_bytes",
            "Bytes of frames sent to clients, by where they came from.",
            ["source"],
            registry=registry,
        )
        self.upstream_calls = Counter(
            f"{_PREFIX}upstream_calls",
            "GetImageFrame calls, by outcome (an HTTP status, or no answer).",
            ["outcome"],
            registry=registry,
        )
        self.upstream_first_byte = Histogram(
            f"{_PREFIX}upstream_first_byte_seconds",
            "Seconds until GetImageFrame began to answer, retries included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.broken_off = Counter(
            f"{_PREFIX}broken_off",
            "Answers that ended early, by reason.",
            ["reason"],
            registry=registry,
        )
        self.cache_hits = Counter(
            f"{_PREFIX}cache_hits", "Frames found in the cache.", registry=registry
        )
        self.cache_misses = Counter(
            f"{_PREFIX}cache_misses",
            "Frames not found in the cache.",
            registry=registry,
        )
        self.cache_evictions = Counter(
            f"{_PREFIX}cache_evictions",
            "Frames removed from the cache to make room.",
            registry=registry,
        )
        self.cache_refusals = Counter(
            f"{_PREFIX}cache_refusals",
            "Frames not kept: over a share, or too many under way.",
            registry=registry,
        )
        self.cache_bytes = Gauge(
            f"{_PREFIX}cache_bytes",
            "Bytes of cached frames and of those being read for the cache.",
            registry=registry,
        )
        self.cache_frames = Gauge(
            f"{_PREFIX}cache_frames", "Frames in the cache.", registry=registry
        )
