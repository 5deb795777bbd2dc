"""Counts what became of the image sets each trigger was asked about.

The counts are for people, in the trigger's status. They are collected in memory
and added to the status after each handful of messages, at the version it was
read at, so that several processes may add at the same time.
"""

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from isocenter.operator.errors import ClusterError, ConflictError, GoneError
from isocenter.operator.resources import PLURALS, TrainingTrigger, merge_patch

log = logging.getLogger(__name__)

_TRIES = 5
_PLURAL = PLURALS["TrainingTrigger"]


class Triggers(Protocol):
    """Where triggers are read and their statuses stored; see ``cluster.Cluster``."""

    def resource(self, plural: str, name: str) -> dict[str, Any]:
        """Read one."""

    def patch_status(
        self, plural: str, name: str, status: Any, *, resource_version: str
    ) -> dict[str, Any]:
        """Merge into its status."""


@dataclass
class _Counts:
    seen: int = 0
    created: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    last: datetime | None = None


class Tally:
    """Counts by trigger name, until ``flush`` has added them to the statuses."""

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers
        self._counts: dict[str, _Counts] = {}
        self._lock = threading.Lock()

    def seen(self, trigger: str, at: datetime) -> None:
        """An event of the trigger's data store was handled."""
        with self._lock:
            counts = self._counts.setdefault(trigger, _Counts())
            counts.seen += 1
            counts.last = at

    def created(self, trigger: str) -> None:
        """A run was made."""
        with self._lock:
            self._counts.setdefault(trigger, _Counts()).created += 1

    def skipped(self, trigger: str, reason: str) -> None:
        """No run was made, for ``reason``."""
        with self._lock:
            self._counts.setdefault(trigger, _Counts()).skipped[reason] += 1

    def flush(self) -> None:
        """Add the counts to the statuses; what can't be added now is kept."""
        with self._lock:
            taken, self._counts = self._counts, {}
        for name, counts in taken.items():
            try:
                self._add(name, counts)
            except GoneError:
                continue
            except ClusterError as error:
                log.info(
                    "counts are kept for later",
                    extra={"trigger": name, "error": str(error)},
                )
                self._keep(name, counts)

    def _add(self, name: str, counts: _Counts) -> None:
        for attempt in range(1, _TRIES + 1):
            trigger = TrainingTrigger.model_validate(
                self._triggers.resource(_PLURAL, name)
            )
            before = trigger.status
            after = before.model_copy(
                update={
                    "events_seen": before.events_seen + counts.seen,
                    "runs_created": before.runs_created + counts.created,
                    "skipped": dict(Counter(before.skipped) + counts.skipped),
                    "last_event_time": counts.last or before.last_event_time,
                }
            )
            try:
                self._triggers.patch_status(
                    _PLURAL,
                    name,
                    merge_patch(before, after),
                    resource_version=trigger.metadata.resource_version or "",
                )
            except ConflictError:
                if attempt == _TRIES:
                    raise
            else:
                return

    def _keep(self, name: str, counts: _Counts) -> None:
        with self._lock:
            kept = self._counts.setdefault(name, _Counts())
            kept.seen += counts.seen
            kept.created += counts.created
            kept.skipped += counts.skipped
            kept.last = kept.last or counts.last
