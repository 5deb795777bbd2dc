"""TrainingRun: one execution of a SageMaker pipeline over image sets. Pure."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.config import JsonDict

from isocenter.core.run_request import ID_PATTERN, ImageSetRef
from isocenter.operator.conditions import Condition
from isocenter.operator.resources.base import Camel, Resource

PIPELINE_NAME_PATTERN = "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$"
"""PipelineName of the SageMaker API model."""
MAX_PARAMETERS = 190
"""SageMaker takes 200; the operator adds up to four of its own."""

Phase = Literal[
    "Pending", "Starting", "Running", "Stopping", "Succeeded", "Failed", "Stopped"
]
TERMINAL_PHASES = frozenset({"Succeeded", "Failed", "Stopped"})

_IMMUTABLE: JsonDict = {
    "x-kubernetes-validations": [
        {
            "rule": "self == oldSelf",
            "message": "is immutable: create another TrainingRun",
        }
    ]
}


class PipelineRef(Camel):
    """Which pipeline, and what is passed to it."""

    name: str = Field(
        pattern=PIPELINE_NAME_PATTERN,
        max_length=256,
        description="A SageMaker pipeline of the operator's account and region.",
    )
    parameters: dict[str, Annotated[str, Field(max_length=1024)]] = Field(
        default={},
        max_length=MAX_PARAMETERS,
        description=(
            "Pipeline parameters, passed as they are. DatastoreId, ImageSetId (when "
            "there is exactly one image set), RequestS3Uri and OutputS3Uri are passed "
            "as well if the pipeline declares them and they are not set here. "
            "Anyone who may describe the execution can read them: no secrets."
        ),
    )


class TrainingRunSpec(Camel):
    """What to train on, with which pipeline."""

    datastore_id: str = Field(
        pattern=ID_PATTERN,
        max_length=32,
        description="HealthImaging data store of the image sets.",
        json_schema_extra=_IMMUTABLE,
    )
    image_sets: tuple[ImageSetRef, ...] = Field(
        min_length=1,
        max_length=5_000,
        description="Image sets to train on.",
        json_schema_extra=_IMMUTABLE
        | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
    )
    pipeline: PipelineRef = Field(
        description="The SageMaker pipeline to execute.", json_schema_extra=_IMMUTABLE
    )
    suspend: bool = Field(
        default=False,
        description=(
            "While true the run is not started. A run that has started is not "
            "affected: its execution goes on."
        ),
    )


class StepState(Camel):
    """One step of the execution."""

    name: str
    status: str = Field(
        description=(
            "SageMaker's StepStatus; NotStarted for a step of the definition that "
            "has not begun."
        )
    )
    start_time: datetime | None = None
    end_time: datetime | None = None
    failure_reason: str | None = None
    job_arn: str | None = Field(
        default=None, description="Processing or training job of the step."
    )


class Attempt(Camel):
    """One execution that was started for the run."""

    attempt: int = Field(ge=1)
    execution_arn: str
    phase: Phase
    start_time: datetime | None = None
    completion_time: datetime | None = None


class Metric(Camel):
    """A final metric of the training job."""

    name: str
    value: str = Field(description="Decimal number, or NaN or Infinity, as text.")


class TrainingRunStatus(Camel):
    """What the operator last saw."""

    phase: Phase | None = Field(
        default=None, description="Summary of the run's progress."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description=(
            "Started: the execution was accepted by SageMaker. Succeeded: Unknown "
            "until the run ends."
        ),
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    observed_generation: int | None = Field(
        default=None, description="metadata.generation this status belongs to."
    )
    execution_arn: str | None = Field(
        default=None, description="The pipeline execution."
    )
    attempts: tuple[Attempt, ...] = Field(
        default=(), description="Executions started for this run."
    )
    steps: tuple[StepState, ...] = Field(
        default=(), description="Steps of the execution."
    )
    progress: str | None = Field(
        default=None, description="Steps that succeeded of all steps, such as 1/2."
    )
    start_time: datetime | None = Field(
        default=None, description="When the execution was created."
    )
    completion_time: datetime | None = Field(
        default=None, description="When the run ended."
    )
    dataset_s3_uri: str | None = Field(
        default=None,
        alias="datasetS3Uri",
        description='Destination of the processing output named "dataset".',
    )
    model_s3_uri: str | None = Field(
        default=None,
        alias="modelS3Uri",
        description="Model artifacts of the training job.",
    )
    metrics: tuple[Metric, ...] = Field(
        default=(), description="Final metrics of the training job."
    )
    message: str | None = Field(
        default=None, description="What is going on, or what went wrong."
    )

    @property
    def terminal(self) -> bool:
        """Nothing will change any more."""
        return self.phase in TERMINAL_PHASES


class TrainingRun(Resource):
    """One execution of a SageMaker pipeline over image sets of a data store."""

    KIND: ClassVar[str] = "TrainingRun"

    spec: TrainingRunSpec
    status: TrainingRunStatus = TrainingRunStatus()
