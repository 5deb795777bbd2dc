"""The proxy's Prometheus metrics."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from isocenter.tlm_proxy.frames.tally import Tally
from isocenter.tlm_proxy.http.answer_counts import AnswerCounts

_PREFIX = "isocenter_tlm_proxy_"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ANSWER_SECONDS = (0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0)


class Metrics:
    """All of them, in one registry; tests give each its own."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.answers = AnswerCounts(_PREFIX, _ANSWER_SECONDS)
        registry.register(self.answers)
        self.requests_under_way = Gauge(
            f"{_PREFIX}requests_under_way",
            "Requests that are being answered.",
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
        self.worker_calls = Counter(
            f"{_PREFIX}worker_calls",
            "Frames asked of the worker that owns them, by outcome: frame, failure, "
            "or no answer (then HealthImaging is asked).",
            ["outcome"],
            registry=registry,
        )
        self.metadata_calls = Counter(
            f"{_PREFIX}metadata_calls",
            "SearchImageSets, GetImageSetMetadata and DICOMweb calls, by outcome "
            "(an HTTP status, or no answer).",
            ["operation", "outcome"],
            registry=registry,
        )
        self.upstream_waiting = Gauge(
            f"{_PREFIX}upstream_waiting",
            "Calls that wait for their turn.",
            ["region", "service"],
            registry=registry,
        )
        self.upstream_wait = Histogram(
            f"{_PREFIX}upstream_wait_seconds",
            "Seconds that calls waited for their turn.",
            ["region", "service"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.upstream_in_flight = Gauge(
            f"{_PREFIX}upstream_in_flight",
            "Calls under way, their answers' bodies included.",
            ["region", "service"],
            registry=registry,
        )
        self.upstream_rate = Gauge(
            f"{_PREFIX}upstream_rate",
            "Calls a second that are allowed now; throttling lowers it.",
            ["region", "service"],
            registry=registry,
        )
        self.upstream_throttled = Counter(
            f"{_PREFIX}upstream_throttled",
            "Calls that HealthImaging throttled.",
            ["region", "service"],
            registry=registry,
        )
        self.upstream_turned_away = Counter(
            f"{_PREFIX}upstream_turned_away",
            "Calls not made, by reason: queue, deadline, circuit.",
            ["region", "service", "reason"],
            registry=registry,
        )
        self.upstream_circuit = Gauge(
            f"{_PREFIX}upstream_circuit",
            "0: calls are made; 1: one call probes; 2: none is made.",
            ["region", "service"],
            registry=registry,
        )
        self.tokens_known = Gauge(
            f"{_PREFIX}tokens_known",
            "Tokens that were checked and are remembered.",
            registry=registry,
        )
        self.broken_off = Counter(
            f"{_PREFIX}broken_off",
            "Answers that ended early, by reason.",
            ["reason"],
            registry=registry,
        )
        self.malformed = Counter(
            f"{_PREFIX}malformed",
            "Frames that came as broken codestreams; they are passed whole.",
            registry=registry,
        )
        self.joined = Counter(
            f"{_PREFIX}joined",
            "Readers that joined a frame already on its way.",
            registry=registry,
        )
        self.cache_hits = Tally(
            f"{_PREFIX}cache_hits", "Frames found in the cache.", registry
        )
        self.cache_misses = Tally(
            f"{_PREFIX}cache_misses",
            "Frames not found in the cache.",
            registry,
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
            "Bytes of cached frames, of arriving ones, and of those put out of the "
            "cache that clients still read.",
            registry=registry,
        )
        self.cache_frames = Gauge(
            f"{_PREFIX}cache_frames", "Frames in the cache.", registry=registry
        )
