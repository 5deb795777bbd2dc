"""Prometheus metrics of the Store SCP; the names are part of the interface."""

from prometheus_client import Counter, Gauge, Histogram

ASSOCIATIONS = Counter(
    "isocenter_storescp_associations_total",
    "Associations by how they ended or why they did not begin.",
    ["outcome"],
)
ASSOCIATIONS_ACTIVE = Gauge(
    "isocenter_storescp_associations_active", "Associations that are established now."
)
STORES = Counter(
    "isocenter_storescp_stores_total",
    "C-STORE responses by status, as four hexadecimal digits.",
    ["status"],
)
DUPLICATES = Counter(
    "isocenter_storescp_duplicates_total",
    "Instances that came again with the same bytes while their batch was open.",
)
STORED_BYTES = Counter(
    "isocenter_storescp_stored_bytes_total", "Bytes of acknowledged instances."
)
STORE_SECONDS = Histogram(
    "isocenter_storescp_store_seconds",
    "From the last byte of an instance to its durable copy.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10, 60),
)
BATCHES_CLOSED = Counter(
    "isocenter_storescp_batches_closed_total",
    "Batches that take no more instances, by reason.",
    ["reason"],
)
BATCHES_SEALED = Counter(
    "isocenter_storescp_batches_sealed_total", "Batches whose manifest is in S3."
)
UPLOADS = Counter(
    "isocenter_storescp_uploads_total",
    "Objects put to S3: instances and manifests, by outcome.",
    ["kind", "outcome"],
)
UPLOADED_BYTES = Counter(
    "isocenter_storescp_uploaded_bytes_total", "Bytes of instances put to S3."
)
TASKS_WAITING = Gauge(
    "isocenter_storescp_tasks_waiting", "Objects that S3 does not have yet."
)
SPOOL_FREE_BYTES = Gauge(
    "isocenter_storescp_spool_free_bytes", "Free bytes of the spool's volume."
)
INSTANCES_LOST = Counter(
    "isocenter_storescp_instances_lost_total",
    "Acknowledged instances whose spool file was gone: look at once.",
)
