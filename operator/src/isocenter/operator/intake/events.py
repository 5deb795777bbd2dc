"""What a message of the queue says. Pure.

Sources: EventBridge user guide, "Amazon S3 events" (keys are not URL-encoded
there); SageMaker developer guide, "Automating Amazon SageMaker with EventBridge";
HealthImaging's events are those of ``isocenter.core.healthimaging.events``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.events import (
    ImageSetEvent,
    ImportJobEvent,
    parse_event,
)
from isocenter.operator.intake import event_patterns

_DESCRIPTION = re.compile(
    r"^isocenter TrainingRun (?P<namespace>[-a-z0-9]+)/(?P<name>[-.a-z0-9]+)\Z"
)


@dataclass(frozen=True)
class BatchSealed:
    """A batch manifest was written."""

    event_id: str
    bucket: str
    key: str


@dataclass(frozen=True)
class ImportEnded:
    """An import job ended; its name is the resource's, if it was ours."""

    event_id: str
    job_id: str
    job_name: str


@dataclass(frozen=True)
class ExecutionChanged:
    """An execution that the operator started changed its status."""

    event_id: str
    execution_arn: str
    status: str
    namespace: str
    name: str


Event = ImageSetEvent | BatchSealed | ImportEnded | ExecutionChanged


def parse(text: str, *, batches_prefix: str) -> Event | None:
    """Read a message's body.

    Returns:
        None for what concerns nobody here: other sources and kinds, objects under
        other prefixes, executions that were not started by the operator.

    Raises:
        MalformedError: not a JSON object, or a kind we wait for that lacks what
            its source documents.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError("the message is not JSON") from error
    if not isinstance(body, dict):
        raise MalformedError("the message is not a JSON object")
    match body.get("source"), body.get("detail-type"):
        case event_patterns.S3_SOURCE, event_patterns.OBJECT_CREATED:
            return _object_created(body, batches_prefix)
        case event_patterns.SAGEMAKER_SOURCE, event_patterns.EXECUTION_CHANGED:
            return _execution_changed(body)
    event = parse_event(body)
    if isinstance(event, ImportJobEvent):
        # The registry requires jobName nowhere; without it there is no hint.
        name = str(body["detail"].get("jobName") or "")
        return ImportEnded(event.event_id, event.job_id, name) if name else None
    return event


def _object_created(body: Mapping[str, Any], batches_prefix: str) -> BatchSealed | None:
    event_id = str(body.get("id", ""))
    try:
        bucket = str(body["detail"]["bucket"]["name"])
        key = str(body["detail"]["object"]["key"])
    except (KeyError, TypeError) as error:
        raise MalformedError(
            f"event {event_id} (Object Created) has no bucket name and object key"
        ) from error
    if not key.startswith(batches_prefix) or not key.endswith(".json"):
        return None
    return BatchSealed(event_id, bucket, key)


def _execution_changed(body: Mapping[str, Any]) -> ExecutionChanged | None:
    detail = body.get("detail")
    event_id = str(body.get("id", ""))
    if not isinstance(detail, Mapping) or "pipelineExecutionArn" not in detail:
        raise MalformedError(f"event {event_id} has no pipelineExecutionArn")
    ours = _DESCRIPTION.match(str(detail.get("pipelineExecutionDescription") or ""))
    if ours is None:
        return None
    return ExecutionChanged(
        event_id,
        str(detail["pipelineExecutionArn"]),
        str(detail.get("currentPipelineExecutionStatus", "")),
        ours["namespace"],
        ours["name"],
    )
