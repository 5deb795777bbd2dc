"""Which resources there should be, given what happened. Pure.

Events and the sweep both end here, so that what one brings the other finds done:
the name of a resource follows from what it is for, and making one that is there
already is no error.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from isocenter.core.batch import BatchManifest
from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.answers import ImageSetState
from isocenter.operator.resources import GROUP, PLURALS, VERSION, TrainingTrigger

NAME_LIMIT = 253
"""metadata.name: an RFC 1123 subdomain."""
LABEL_LIMIT = 63
TRIGGER_LABEL = "isocenter.dev/trigger"
EVENT_ANNOTATION = "isocenter.dev/event"
_DIGEST = 8

KINDS = {
    "Image Set Created": "Created",
    "Image Set Updated": "Updated",
    "Image Set Copied": "Copied",
}
"""Detail type -> the word in ``spec.events``."""
_KIND_BY_WORKFLOW = {"CREATED": "Created", "UPDATED": "Updated", "COPIED": "Copied"}


class Skip(StrEnum):
    """Why an image set starts no run for a trigger; see ``SKIP_MEANINGS``."""

    SUSPENDED = "Suspended"
    KIND_NOT_SELECTED = "KindNotSelected"
    NON_PRIMARY = "NonPrimary"
    DELETED = "Deleted"
    RUN_EXISTS = "RunExists"


SKIP_MEANINGS = {
    Skip.SUSPENDED: "The trigger is suspended (spec.suspend).",
    Skip.KIND_NOT_SELECTED: "What happened to the image set is not in spec.events.",
    Skip.NON_PRIMARY: "The image set is not primary: attributes of its patient, study "
    "or series conflict with the primary one's. spec.includeNonPrimary takes it too.",
    Skip.DELETED: "The image set is gone, or is deleted.",
    Skip.RUN_EXISTS: "There is a run of this name, or there was one that has started.",
}
"""What each says; docs/reference is made from it."""


@dataclass(frozen=True)
class Desired:
    """A resource that there should be."""

    plural: str
    name: str
    body: dict[str, Any]


def fit(name: str, limit: int) -> str:
    """``name``, or when it is too long its beginning and a digest of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: limit - _DIGEST - 1].rstrip('-.')}-{digest}"


def run_name(trigger: str, image_set_id: str, version_id: str) -> str:
    """The TrainingRun that a trigger makes for one version of an image set."""
    tail = f"-{image_set_id}-v{version_id}"
    return fit(trigger, NAME_LIMIT - len(tail)) + tail


def watching(
    triggers: Iterable[TrainingTrigger], datastore_id: str
) -> list[TrainingTrigger]:
    """The triggers of one data store."""
    return [t for t in triggers if t.spec.datastore_id == datastore_id]


def kind_of(state: ImageSetState) -> str:
    """What happened last to an image set, when no event says it.

    A workflow status this version does not know is read off the version: the
    first was created, later ones are updates.
    """
    fallback = "Created" if state.version_id == "1" else "Updated"
    return _KIND_BY_WORKFLOW.get(state.workflow_status, fallback)


def skip_early(
    trigger: TrainingTrigger, kind: str | None, is_primary: bool | None
) -> Skip | None:
    """Why no run is made, as far as it is known without asking HealthImaging."""
    if trigger.spec.suspend:
        return Skip.SUSPENDED
    if kind is not None and kind not in trigger.spec.events:
        return Skip.KIND_NOT_SELECTED
    if is_primary is False and not trigger.spec.include_non_primary:
        return Skip.NON_PRIMARY
    return None


def desired_run(
    trigger: TrainingTrigger, kind: str | None, state: ImageSetState, event_id: str
) -> Desired | Skip:
    """The run for an image set as GetImageSet confirmed it, readable or deleted.

    ``kind`` is what the event said; None in a sweep, which reads it off ``state``.
    """
    if state.state == "DELETED":
        return Skip.DELETED
    if skip := skip_early(trigger, kind or kind_of(state), state.is_primary):
        return skip
    name = run_name(trigger.metadata.name, state.image_set_id, state.version_id)
    template = trigger.spec.template
    return Desired(
        plural=PLURALS["TrainingRun"],
        name=name,
        body={
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "TrainingRun",
            "metadata": {
                "name": name,
                "namespace": trigger.metadata.namespace,
                "labels": {TRIGGER_LABEL: fit(trigger.metadata.name, LABEL_LIMIT)},
                "annotations": {EVENT_ANNOTATION: event_id},
            },
            "spec": {
                "datastoreId": trigger.spec.datastore_id,
                "imageSets": [
                    {"id": state.image_set_id, "versionId": state.version_id}
                ],
                "pipeline": template.pipeline.model_dump(by_alias=True),
                "suspend": template.suspend,
            },
        },
    )


def desired_import(
    manifest: BatchManifest,
    *,
    bucket: str,
    key: str,
    namespace: str,
    batches_prefix: str,
    output_prefix: str,
    event_id: str,
) -> Desired:
    """The import job for a sealed batch, named after it.

    Raises:
        MalformedError: the manifest's key is not its batch's, or the instances do
            not lie in one folder named after it, so that an import would take in
            others too.
    """
    if key != f"{batches_prefix}{manifest.batch}.json":
        raise MalformedError(
            f"s3://{bucket}/{key} holds batch {manifest.batch}: it must be named so"
        )
    folders = {i.key.rpartition("/")[0] for i in manifest.instances}
    if {folder.rpartition("/")[2] for folder in folders} != {manifest.batch} or (
        len(folders) != 1
    ):
        raise MalformedError(
            f"s3://{bucket}/{key}: the instances of a batch must lie in one folder,"
            " named after the batch"
        )
    return Desired(
        plural=PLURALS["DICOMImportJob"],
        name=manifest.batch,
        body={
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "DICOMImportJob",
            "metadata": {
                "name": manifest.batch,
                "namespace": namespace,
                "annotations": {EVENT_ANNOTATION: event_id},
            },
            "spec": {
                "datastoreId": manifest.datastore,
                "inputS3Uri": f"s3://{bucket}/{folders.pop()}/",
                # A folder of its own: the Store SCP finds there what was imported of
                # the batch, for storage commitment, without searching all imports.
                "outputS3Uri": f"s3://{bucket}/{output_prefix}{manifest.batch}/",
                "manifestKey": key,
            },
        },
    )
