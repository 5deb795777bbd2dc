"""When a batch ends, and what it is called. Pure.

A batch becomes one import job: HealthImaging takes 5,000 files or 10 GB in one job
and starts one job a second per account, so small associations share a batch.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from isocenter.core.batch import MAX_BYTES, MAX_INSTANCES

ID_PREFIX = "b"
"""First character of every batch id: a DNS label may not start with a digit everywhere,
and the spool's other folders start otherwise."""
_MILLISECOND = timedelta(milliseconds=1)


class CloseReason(StrEnum):
    """Why a batch takes no more instances."""

    QUIET = "quiet"
    AGE = "age"
    FULL = "full"
    SHUTDOWN = "shutdown"
    RECOVERED = "recovered"


@dataclass(frozen=True)
class BatchLimits:
    """How long and how large a batch may become.

    Attributes:
        quiet_s: seconds since the last instance.
        max_age_s: seconds since the first.
        max_instances: files, at most HealthImaging's 5,000.
        max_bytes: sum of the files, at most HealthImaging's 10 GB.
    """

    quiet_s: float = 10.0
    max_age_s: float = 120.0
    max_instances: int = MAX_INSTANCES
    max_bytes: int = MAX_BYTES


class BatchExtent(NamedTuple):
    """An open batch, as far as the decisions need it (times in seconds)."""

    opened_at: float
    last_at: float
    instances: int = 0
    bytes: int = 0


def due(extent: BatchExtent, now: float, limits: BatchLimits) -> CloseReason | None:
    """Why an open batch must be closed now, or None if it stays open."""
    if extent.instances >= limits.max_instances or extent.bytes >= limits.max_bytes:
        return CloseReason.FULL
    if now - extent.last_at >= limits.quiet_s:
        return CloseReason.QUIET
    if now - extent.opened_at >= limits.max_age_s:
        return CloseReason.AGE
    return None


def fits(extent: BatchExtent, size: int, limits: BatchLimits) -> bool:
    """Whether an instance of ``size`` bytes may join.

    An empty batch takes any: an instance over the limit travels alone.
    """
    if extent.instances == 0:
        return True
    return (
        extent.instances < limits.max_instances
        and extent.bytes + size <= limits.max_bytes
    )


def id_time(now: datetime, previous: datetime | None) -> datetime:
    """The time in the next batch's id: now, but always later than the previous one."""
    if previous is not None and now - previous < _MILLISECOND:
        return previous + _MILLISECOND
    return now


def batch_id(time: datetime, suffix: str) -> str:
    """``b20261123t031500123-<suffix>``: a DNS label that sorts by time (UTC).

    Args:
        time: from ``id_time``.
        suffix: lower-case letters and digits, different for each process.
    """
    return f"{ID_PREFIX}{time:%Y%m%dt%H%M%S}{time.microsecond // 1000:03d}-{suffix}"
