"""What intake does about an event, and the sweep about what no event brought.

Decides by ``reducer``; reads S3 and HealthImaging, writes custom resources.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import ValidationError

from isocenter.core.batch import parse_manifest
from isocenter.core.errors import IsocenterError, MalformedError, NotFoundError
from isocenter.core.healthimaging.answers import ImageSetState
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.events import ImageSetEvent
from isocenter.operator.cluster import Cluster
from isocenter.operator.errors import ClusterError, GoneError
from isocenter.operator.intake import metrics
from isocenter.operator.intake.events import (
    BatchSealed,
    Event,
    ExecutionChanged,
    ImportEnded,
)
from isocenter.operator.intake.reducer import (
    KINDS,
    Desired,
    Skip,
    desired_import,
    desired_run,
    skip_early,
    watching,
)
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.intake.tally import Tally
from isocenter.operator.objects import ObjectStore
from isocenter.operator.reconciling import now
from isocenter.operator.resources import HINT_ANNOTATION, PLURALS, TrainingTrigger

log = logging.getLogger(__name__)

TriggerList = Callable[[], Sequence[TrainingTrigger]]


class Later(Exception):  # noqa: N818 - not an error: the message is put back
    """The thing an event is about is not ready yet."""


class Reactor(Protocol):
    """Reacts to one event."""

    def react(self, event: Event, triggers: TriggerList) -> None:
        """Make what there should be; see ``Reactions``."""


class Reactions:
    """Reacts to events. Thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        healthimaging: HealthImaging,
        objects: ObjectStore,
        tally: Tally,
        settings: IntakeSettings,
    ) -> None:
        self._cluster = cluster
        self._healthimaging = healthimaging
        self._objects = objects
        self._tally = tally
        self._settings = settings

    def react(self, event: Event, triggers: TriggerList) -> None:
        """Make what there should be; returns when it is in the cluster.

        Raises:
            Later: an image set is not readable yet.
            IsocenterError: an edge failed; retryable or not.
        """
        match event:
            case BatchSealed() if event.bucket == self._settings.bucket:
                self.import_batch(event.bucket, event.key, event.event_id, by="event")
            case ImageSetEvent():
                self._image_set(event, triggers())
            case ImportEnded():
                self._hint("DICOMImportJob", event.job_name, event.event_id)
            case ExecutionChanged() if event.namespace == self._settings.namespace:
                self._hint("TrainingRun", event.name, event.event_id)
            case BatchSealed() | ExecutionChanged():
                log.debug("of another installation", extra={"event_id": event.event_id})

    def triggers(self) -> list[TrainingTrigger]:
        """Every trigger of the namespace that this version understands."""
        found = []
        for body in self._cluster.resources(PLURALS["TrainingTrigger"]):
            try:
                found.append(TrainingTrigger.model_validate(body))
            except ValidationError:
                log.warning(
                    "a trigger is not understood and left out",
                    extra={"trigger": body["metadata"]["name"]},
                )
        return found

    def import_batch(self, bucket: str, key: str, event_id: str, *, by: str) -> None:
        """The DICOMImportJob of a sealed batch.

        Raises:
            MalformedError: the manifest does not parse, or is not named after its
                batch.
        """
        settings = self._settings
        source = f"s3://{bucket}/{key}"
        try:
            manifest = parse_manifest(self._objects.get(bucket, key), source=source)
            desired = desired_import(
                manifest,
                bucket=bucket,
                key=key,
                namespace=settings.namespace,
                batches_prefix=settings.batches_prefix,
                output_prefix=settings.import_output_prefix,
                event_id=event_id,
            )
        except MalformedError:
            metrics.MALFORMED_MANIFESTS.inc()
            raise
        self._create(desired, by=by)

    def run_for(
        self,
        trigger: TrainingTrigger,
        kind: str | None,
        state: ImageSetState,
        event_id: str,
        *,
        by: str,
    ) -> Skip | None:
        """The TrainingRun of a trigger for an image set; answers why there is none.

        A run that has left something in S3 is not made again: it was deleted on
        purpose.
        """
        desired = desired_run(trigger, kind, state, event_id)
        name = trigger.metadata.name
        if isinstance(desired, Desired) and not self._created(desired, by=by):
            desired = Skip.RUN_EXISTS
        if isinstance(desired, Desired):
            self._tally.created(name)
            return None
        metrics.SKIPPED.labels(desired.value).inc()
        if by == "event":
            self._tally.skipped(name, desired.value)
        return desired

    def has_run(self, name: str) -> bool:
        """Whether a run of that name has ever started."""
        settings = self._settings
        prefix = f"{settings.runs_prefix}{settings.namespace}/{name}/"
        return self._objects.any_under(settings.bucket, prefix)

    def _image_set(
        self, event: ImageSetEvent, triggers: Sequence[TrainingTrigger]
    ) -> None:
        kind = KINDS[event.kind]
        concerned = watching(triggers, event.datastore_id)
        early = {
            t.metadata.name: skip_early(t, kind, event.is_primary) for t in concerned
        }
        pending = [t for t in concerned if early[t.metadata.name] is None]
        state = self._confirmed(event) if pending else None
        at = now()
        failed: IsocenterError | None = None
        for trigger in concerned:
            name = trigger.metadata.name
            self._tally.seen(name, at)
            if skip := early[name]:
                metrics.SKIPPED.labels(skip.value).inc()
                self._tally.skipped(name, skip.value)
            elif state is None:
                metrics.SKIPPED.labels(Skip.DELETED.value).inc()
                self._tally.skipped(name, Skip.DELETED.value)
            else:
                try:
                    self.run_for(trigger, kind, state, event.event_id, by="event")
                except IsocenterError as error:
                    # One trigger's run may be refused where another's is not.
                    log.warning(
                        "no run could be made",
                        extra={"trigger": name, "error": str(error)},
                    )
                    failed = failed or error
        if failed is not None:
            raise failed

    def _confirmed(self, event: ImageSetEvent) -> ImageSetState | None:
        """The image set now; None when it is gone.

        The latest version is read rather than the event's: an image set that has
        changed since is trained on as it is.
        """
        try:
            state = self._healthimaging.image_set(
                event.datastore_id, event.image_set_id
            )
        except NotFoundError:
            return None
        if state.state != "DELETED" and not state.readable:
            raise Later(f"image set {event.image_set_id} is {state.state}")
        return state

    def _created(self, desired: Desired, *, by: str) -> bool:
        return not self.has_run(desired.name) and self._create(desired, by=by)

    def _create(self, desired: Desired, *, by: str) -> bool:
        created = self._cluster.create(desired.plural, desired.body)
        if created:
            kind = str(desired.body["kind"])
            metrics.CREATED.labels(kind, by).inc()
            field = "training_run" if kind == "TrainingRun" else "import_job"
            log.info(f"{kind} created", extra={field: desired.name})  # noqa: G004 - a word of two, not data
        return created

    def _hint(self, kind: str, name: str, event_id: str) -> None:
        """Best effort: without it the operator finds out at its next poll."""
        try:
            self._cluster.annotate(PLURALS[kind], name, {HINT_ANNOTATION: event_id})
        except GoneError:
            return
        except ClusterError as error:
            log.info("no hint could be given", extra={"error": str(error)})
            return
        metrics.HINTS.labels(kind).inc()
