"""Prometheus metrics of the Store SCP; the names are part of the interface."""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

# Associations.
ASSOCIATIONS = Counter(
    "isocenter_storescp_associations_total",
    "Associations by how they ended or why they did not begin.",
    ["outcome"],
)
ASSOCIATIONS_REFUSED = Counter(
    "isocenter_storescp_associations_refused_total",
    "Connections that became no association, by reason.",
    ["reason"],
)
ASSOCIATIONS_ACTIVE = Gauge(
    "isocenter_storescp_associations_active", "Associations that are established now."
)
CONNECTIONS_PENDING = Gauge(
    "isocenter_storescp_connections_pending",
    "Connections whose association is not established yet.",
)
TLS_RELOADS = Counter(
    "isocenter_storescp_tls_reloads_total",
    "Readings of certificate files that had changed, by outcome.",
    ["outcome"],
)

# Instances.
STORES = Counter(
    "isocenter_storescp_stores_total",
    "C-STORE responses by status, as four hexadecimal digits.",
    ["status"],
)
DUPLICATES = Counter(
    "isocenter_storescp_duplicates_total",
    "Instances that came again with the same bytes, and were not stored again.",
)
CONFLICTS = Counter(
    "isocenter_storescp_conflicts_total",
    "Instances that came with the UID of another one and other bytes: both are kept.",
)
STORED_BYTES = Counter(
    "isocenter_storescp_stored_bytes_total", "Bytes of acknowledged instances."
)
STORE_SECONDS = Histogram(
    "isocenter_storescp_store_seconds",
    "From the last byte of an instance to its answer, when it is durable.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10, 60),
)
QUARANTINED = Counter(
    "isocenter_storescp_quarantined_total",
    "Files that can't be stored, by reason: kept apart, put to S3, or dropped because"
    " the quarantine was full.",
    ["reason", "outcome"],
)

# The spool.
SPOOL_BYTES = Gauge(
    "isocenter_storescp_spool_bytes",
    "Bytes of instances on the volume, those being received included.",
)
SPOOL_OLDEST_SECONDS = Gauge(
    "isocenter_storescp_spool_oldest_seconds",
    "Age of the batch that has waited longest for its manifest to be in S3.",
)
SPOOL_FREE_BYTES = Gauge(
    "isocenter_storescp_spool_free_bytes", "Free bytes of the spool's volume."
)
SPOOL_REFUSING = Gauge(
    "isocenter_storescp_spool_refusing",
    "1 while instances are refused because the volume is nearly full.",
)
INSTANCES_LOST = Counter(
    "isocenter_storescp_instances_lost_total",
    "Acknowledged instances whose spool file was gone: look at once.",
)

# To S3.
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

# Storage commitment.
COMMITMENT_REQUESTS = Counter(
    "isocenter_storescp_commitment_requests_total",
    "N-ACTION responses by status, as four hexadecimal digits.",
    ["status"],
)
COMMITMENT_INSTANCES = Counter(
    "isocenter_storescp_commitment_instances_total",
    "Instances that were reported on: committed, or the Failure Reason (0008,1197).",
    ["outcome"],
)
COMMITMENT_REPORTS = Counter(
    "isocenter_storescp_commitment_reports_total",
    "Reports sent, by association and by whether the peer took them.",
    ["association", "outcome"],
)
COMMITMENTS_WAITING = Gauge(
    "isocenter_storescp_commitments_waiting",
    "Requests for storage commitment that were not reported on yet.",
)


# To find a label's counter costs more than to count: these remember.


@lru_cache(maxsize=64)
def stores(status: int) -> Counter:
    """``STORES`` of a status."""
    return STORES.labels(f"{status:04X}")


@lru_cache(maxsize=16)
def uploads(kind: str, outcome: str) -> Counter:
    """``UPLOADS`` of a kind and an outcome."""
    return UPLOADS.labels(kind, outcome)
