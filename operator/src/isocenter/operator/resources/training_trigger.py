"""TrainingTrigger: which image sets start a TrainingRun. Pure."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from isocenter.core.run_request import ID_PATTERN
from isocenter.operator.conditions import Condition
from isocenter.operator.resources.base import Camel, Resource
from isocenter.operator.resources.training_run import PipelineRef

ImageSetEventKind = Literal["Created", "Updated", "Copied"]


class RunTemplate(Camel):
    """The rest of the TrainingRuns that are made."""

    pipeline: PipelineRef = Field(description="The SageMaker pipeline to execute.")
    suspend: bool = Field(
        default=False,
        description="Make the runs suspended: each waits to be released by hand.",
    )


class TrainingTriggerSpec(Camel):
    """Which image sets start a run, and which run."""

    datastore_id: str = Field(
        pattern=ID_PATTERN,
        max_length=32,
        description="HealthImaging data store that is watched.",
    )
    events: tuple[ImageSetEventKind, ...] = Field(
        default=("Created", "Updated", "Copied"),
        min_length=1,
        max_length=3,
        description="What must have happened to an image set.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    include_non_primary: bool = Field(
        default=False,
        description=(
            "Start runs for non-primary image sets too: those whose patient, study "
            "or series attributes conflict with the primary one."
        ),
    )
    template: RunTemplate = Field(
        description="The TrainingRun made for each image set version."
    )
    suspend: bool = Field(
        default=False, description="While true no runs are made by this trigger."
    )


class TrainingTriggerStatus(Camel):
    """What became of the image sets this trigger was asked about."""

    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Active: False while the trigger is suspended.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    observed_generation: int | None = Field(
        default=None, description="metadata.generation the conditions belong to."
    )
    events_seen: int = Field(
        default=0,
        ge=0,
        description=(
            "Events of this data store that intake handled. An event that AWS "
            "delivers twice counts twice; what a killed process had not written "
            "yet is not counted."
        ),
    )
    runs_created: int = Field(
        default=0, ge=0, description="TrainingRuns made, by events and by the sweep."
    )
    skipped: dict[str, int] = Field(
        default={}, description="Events that made no run, by reason."
    )
    last_event_time: datetime | None = Field(
        default=None, description="When the last such event was handled."
    )


class TrainingTrigger(Resource):
    """Starts a TrainingRun for each new version of the image sets it selects."""

    KIND: ClassVar[str] = "TrainingTrigger"

    spec: TrainingTriggerSpec
    status: TrainingTriggerStatus = TrainingTriggerStatus()
