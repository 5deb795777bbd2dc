"""The sweep: finds what no event has brought. The guarantee behind the events.

Everything is derived anew from S3, HealthImaging and the custom resources; only
what was decided against is remembered, to save calls.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from isocenter.core.errors import IsocenterError, NotFoundError
from isocenter.core.healthimaging.answers import FoundImageSet
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.cluster import Cluster
from isocenter.operator.intake import metrics
from isocenter.operator.intake.reactions import Reactions
from isocenter.operator.intake.reducer import run_name, skip_early
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.objects import ObjectStore
from isocenter.operator.reconciling import now
from isocenter.operator.resources import PLURALS, TrainingTrigger

log = logging.getLogger(__name__)

SWEEP_ID = "sweep"
_REMEMBERED = 100_000


class Stop(Protocol):
    """A ``threading.Event``: set when the process should end."""

    def is_set(self) -> bool:
        """Whether it is set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is."""


class Sweep:
    """Sweeps one namespace. Used by one thread."""

    def __init__(
        self,
        cluster: Cluster,
        healthimaging: HealthImaging,
        objects: ObjectStore,
        reactions: Reactions,
        settings: IntakeSettings,
        *,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._cluster = cluster
        self._healthimaging = healthimaging
        self._objects = objects
        self._reactions = reactions
        self._settings = settings
        self._clock = clock
        self._decided: set[tuple[str, int, str, str]] = set()

    def run(self, stop: Stop) -> None:
        """Sweep now and then again and again; no failure ends the loop."""
        while not stop.is_set():
            try:
                went_through = self.once(stop)
            except Exception:
                went_through = False
                log.exception("a sweep failed; the next one starts over")
            metrics.SWEEPS.labels("ok" if went_through else "failed").inc()
            if went_through:
                metrics.LAST_SWEEP.set_to_current_time()
            stop.wait(self._settings.sweep_interval_s)

    def once(self, stop: Stop) -> bool:
        """One sweep; whether every part of it could be looked at."""
        complete = self._guarded(self._batches, stop)
        try:
            triggers = self._reactions.triggers()
            names = self._names("TrainingRun") if triggers else set()
        except IsocenterError as error:
            log.warning("runs could not be listed", extra={"error": str(error)})
            return False
        for trigger in triggers:
            if not trigger.spec.suspend:
                complete &= self._guarded(self._trigger, stop, trigger, names)
        return complete

    def _guarded(self, part: Callable[..., object], *args: Any, **about: str) -> bool:
        """Do one part; no failure of it may keep the sweep from the others."""
        try:
            return part(*args) is not False
        except IsocenterError as error:
            about["error"] = str(error)
            log.warning("a part of the sweep failed", extra=about)
        except Exception:
            log.exception("a part of the sweep failed", extra=about)
        return False

    def _names(self, kind: str) -> set[str]:
        return {b["metadata"]["name"] for b in self._cluster.resources(PLURALS[kind])}

    def _batches(self, stop: Stop) -> bool:
        """Sealed batches without a DICOMImportJob."""
        settings = self._settings
        since = self._since()
        existing: set[str] | None = None
        complete = True
        for entry in self._objects.under(settings.bucket, settings.batches_prefix):
            name = entry.key.removeprefix(settings.batches_prefix)
            if entry.modified_at < since or not name.endswith(".json"):
                continue
            if existing is None:
                existing = self._names("DICOMImportJob")
            if name.removesuffix(".json") in existing:
                continue
            if stop.is_set():
                return False
            complete &= self._guarded(self._batch, entry.key, key=entry.key)
        return complete

    def _batch(self, key: str) -> None:
        self._reactions.import_batch(self._settings.bucket, key, SWEEP_ID, by="sweep")

    def _trigger(self, stop: Stop, trigger: TrainingTrigger, names: set[str]) -> bool:
        """Image sets of a trigger's data store without their TrainingRun."""
        since = self._since()
        created = trigger.metadata.creation_timestamp
        if created is not None:
            since = max(since, created)
        complete = True
        for found in self._healthimaging.updated_between(
            trigger.spec.datastore_id, since, self._clock()
        ):
            if stop.is_set():
                return False
            complete &= self._guarded(
                self._image_set,
                trigger,
                found,
                names,
                trigger=trigger.metadata.name,
                image_set_id=found.image_set_id,
            )
        return complete

    def _image_set(
        self, trigger: TrainingTrigger, found: FoundImageSet, names: set[str]
    ) -> bool:
        meta = trigger.metadata
        decision = (
            meta.uid,
            meta.generation,
            found.image_set_id,
            found.version_id,
        )
        name = run_name(meta.name, found.image_set_id, found.version_id)
        if (
            name in names
            or decision in self._decided
            or skip_early(trigger, None, found.is_primary)
        ):
            return True
        try:
            state = self._healthimaging.image_set(
                trigger.spec.datastore_id, found.image_set_id
            )
        except NotFoundError:
            return True
        if state.state != "DELETED" and not state.readable:
            # Not done, but no failure either: the next sweep sees it again.
            return True
        skip = self._reactions.run_for(trigger, None, state, SWEEP_ID, by="sweep")
        if skip is not None:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided.add(decision)
        return True

    def _since(self) -> datetime:
        return self._clock() - timedelta(seconds=self._settings.sweep_window_s)
