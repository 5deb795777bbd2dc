"""Prometheus metrics of the fetcher, ``isocenter_fetcher_*``."""

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter(
    "isocenter_fetcher_frames",
    "Frames by outcome: ok, or the reason of their omission.",
    ["outcome"],
)
RETRIES = Counter(
    "isocenter_fetcher_frame_retries",
    "Frames that were read again, by cause.",
    ["cause"],
)
STORED_BYTES = Counter(
    "isocenter_fetcher_stored_bytes", "Bytes of frames read from HealthImaging."
)
FRAME_SECONDS = Histogram(
    "isocenter_fetcher_frame_seconds",
    "Seconds of one frame in a stage: download, or decode (with verify and write).",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
MEMORY_BYTES = Gauge(
    "isocenter_fetcher_frame_memory_bytes", "Bytes of frames held in memory, estimated."
)
OMISSIONS = Counter(
    "isocenter_fetcher_omissions",
    "Things asked for and not there, by reason.",
    ["reason"],
)
DATASETS = Counter("isocenter_fetcher_datasets", "Datasets by outcome.", ["outcome"])
JOBS = Gauge("isocenter_fetcher_jobs", "Jobs of the service by status.", ["status"])
