"""Prometheus metrics of the intake process, named ``isocenter_intake_*``."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter(
    "isocenter_intake_messages_total",
    "Messages, by what became of them (done, ignored, postponed, left, unsettled).",
    ["outcome"],
)
HANDLE_SECONDS = Histogram(
    "isocenter_intake_handle_seconds", "Time one message took to be handled."
)
CREATED = Counter(
    "isocenter_intake_resources_created_total",
    "Resources made, by kind and by what asked for them (event, sweep).",
    ["kind", "by"],
)
SKIPPED = Counter(
    "isocenter_intake_skipped_total",
    "Image sets that made no run for a trigger, by reason.",
    ["reason"],
)
MALFORMED_MANIFESTS = Counter(
    "isocenter_intake_malformed_manifests_total",
    "Batch manifests that could not be read.",
)
HINTS = Counter("isocenter_intake_hints_total", "Hints given, by kind.", ["kind"])
SWEEPS = Counter("isocenter_intake_sweeps_total", "Sweeps, by outcome.", ["outcome"])
LAST_SWEEP = Gauge(
    "isocenter_intake_last_sweep_timestamp_seconds",
    "When the last sweep ended that went through.",
)
