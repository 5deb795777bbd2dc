"""The edge to SageMaker pipelines, and the run request in S3 that goes with one.

Calls: DescribePipeline, StartPipelineExecution, DescribePipelineExecution,
ListPipelineExecutionSteps, DescribeProcessingJob, DescribeTrainingJob.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from isocenter.core import aws
from isocenter.core.errors import MalformedError
from isocenter.core.run_request import RunRef, RunRequest
from isocenter.operator.lifecycle import Artifacts, Execution
from isocenter.operator.objects import ObjectStore
from isocenter.operator.resources import Metric, StepState, TrainingRun

DISPLAY_NAME_LIMIT = 82
DATASET_OUTPUT = "dataset"
_NOT_ALNUM = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True)
class PipelineShape:
    """What is needed of a pipeline's definition."""

    parameters: frozenset[str]
    steps: tuple[str, ...]


def request_token(uid: str, attempt: int) -> str:
    """ClientRequestToken of an attempt: 64 hex digits.

    The uid and the number of the attempt say it all: what is asked for can't
    change (the spec is immutable but for ``suspend``). ``metadata.generation`` is
    left out on purpose: suspending counts it up, and the token must be the same
    when the operator was killed between the start and the patch of the status.
    """
    return hashlib.sha256(f"{uid}/{attempt}".encode()).hexdigest()


def display_name(name: str, uid: str) -> str:
    """PipelineExecutionDisplayName: the run's name, cut, and its whole uid."""
    room = DISPLAY_NAME_LIMIT - len(uid) - 1
    readable = _NOT_ALNUM.sub("-", name)[:room].strip("-")
    return f"{readable}-{uid}" if readable else uid


def describes(namespace: str, name: str) -> str:
    """PipelineExecutionDescription; intake reads it back from events."""
    return f"isocenter TrainingRun {namespace}/{name}"


def output_prefix(runs_prefix: str, namespace: str, name: str, attempt: int) -> str:
    """Key prefix, without the last slash, of everything one attempt writes."""
    return f"{runs_prefix}{namespace}/{name}/attempt-{attempt}"


def pipeline_shape(definition: str, *, name: str) -> PipelineShape:
    """Read a pipeline definition (schema 2020-12-01).

    Raises:
        MalformedError: naming the pipeline.
    """
    try:
        document = json.loads(definition)
        return PipelineShape(
            frozenset(str(p["Name"]) for p in document.get("Parameters") or ()),
            tuple(str(s["Name"]) for s in document.get("Steps") or ()),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedError(
            f"the definition of pipeline {name} is not one of schema 2020-12-01"
        ) from error


class Executions:
    """Pipeline executions of one account and region. Thread-safe."""

    def __init__(
        self, sagemaker: Any, objects: ObjectStore, *, bucket: str, runs_prefix: str
    ) -> None:
        self._sagemaker = sagemaker
        self._objects = objects
        self._bucket = bucket
        self._runs_prefix = runs_prefix

    def pipeline(self, name: str) -> PipelineShape:
        """DescribePipeline: its parameters and steps."""
        with aws.calling(f"read pipeline {name}"):
            answer = self._sagemaker.describe_pipeline(PipelineName=name)
        return pipeline_shape(answer["PipelineDefinition"], name=name)

    def write_request(self, run: TrainingRun, attempt: int) -> str:
        """Write the attempt's request.json, which never differs; answers its URI."""
        meta = run.metadata
        request = RunRequest(
            datastore_id=run.spec.datastore_id,
            image_sets=run.spec.image_sets,
            run=RunRef(
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
                attempt=attempt,
            ),
        )
        key = f"{self._output(run, attempt)}/request.json"
        self._objects.put(self._bucket, key, request.to_json())
        return f"s3://{self._bucket}/{key}"

    def start(
        self, run: TrainingRun, attempt: int, shape: PipelineShape, request_uri: str
    ) -> str:
        """StartPipelineExecution with the attempt's token; answers the ARN."""
        name = run.spec.pipeline.name
        parameters = self._parameters(run, attempt, shape, request_uri)
        with aws.calling(f"start pipeline {name}"):
            answer = self._sagemaker.start_pipeline_execution(
                PipelineName=name,
                PipelineExecutionDisplayName=display_name(
                    run.metadata.name, run.metadata.uid
                ),
                PipelineExecutionDescription=describes(
                    run.metadata.namespace, run.metadata.name
                ),
                PipelineParameters=[
                    {"Name": key, "Value": value} for key, value in parameters.items()
                ],
                ClientRequestToken=request_token(run.metadata.uid, attempt),
            )
        return str(answer["PipelineExecutionArn"])

    def execution(self, arn: str) -> Execution:
        """DescribePipelineExecution."""
        with aws.calling(f"read execution {arn}"):
            answer = self._sagemaker.describe_pipeline_execution(
                PipelineExecutionArn=arn
            )
        return Execution(
            status=str(answer["PipelineExecutionStatus"]),
            created_at=_seconds(answer.get("CreationTime")),
            changed_at=_seconds(answer.get("LastModifiedTime")),
            failure_reason=answer.get("FailureReason") or None,
        )

    def steps(self, arn: str) -> tuple[StepState, ...]:
        """ListPipelineExecutionSteps, all pages, in the order they began."""
        with aws.calling(f"list the steps of execution {arn}"):
            pages = self._sagemaker.get_paginator(
                "list_pipeline_execution_steps"
            ).paginate(PipelineExecutionArn=arn, SortOrder="Ascending")
            return tuple(
                _step(step) for page in pages for step in page["PipelineExecutionSteps"]
            )

    def artifacts(self, job_arn: str) -> Artifacts:
        """What a succeeded processing or training job wrote.

        Nothing for jobs of other kinds.
        """
        kind, _, name = job_arn.rpartition(":")[2].partition("/")
        if kind == "processing-job":
            with aws.calling(f"read processing job {name}"):
                job = self._sagemaker.describe_processing_job(ProcessingJobName=name)
            return Artifacts(dataset_s3_uri=_dataset(job))
        if kind == "training-job":
            with aws.calling(f"read training job {name}"):
                job = self._sagemaker.describe_training_job(TrainingJobName=name)
            return Artifacts(
                model_s3_uri=job.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
                metrics=tuple(
                    Metric(name=m["MetricName"], value=repr(float(m["Value"])))
                    for m in job.get("FinalMetricDataList", ())
                ),
            )
        return Artifacts()

    def _parameters(
        self, run: TrainingRun, attempt: int, shape: PipelineShape, request_uri: str
    ) -> dict[str, str]:
        ours = {
            "DatastoreId": run.spec.datastore_id,
            "RequestS3Uri": request_uri,
            "OutputS3Uri": f"s3://{self._bucket}/{self._output(run, attempt)}",
        }
        if len(run.spec.image_sets) == 1:
            ours["ImageSetId"] = run.spec.image_sets[0].id
        declared = {k: v for k, v in ours.items() if k in shape.parameters}
        return declared | run.spec.pipeline.parameters

    def _output(self, run: TrainingRun, attempt: int) -> str:
        meta = run.metadata
        return output_prefix(self._runs_prefix, meta.namespace, meta.name, attempt)


def _step(step: dict[str, Any]) -> StepState:
    jobs = (
        job["Arn"]
        for job in step.get("Metadata", {}).values()
        if isinstance(job, dict) and "Arn" in job
    )
    return StepState(
        name=step["StepName"],
        status=str(step.get("StepStatus", "")),
        start_time=_seconds(step.get("StartTime")),
        end_time=_seconds(step.get("EndTime")),
        failure_reason=step.get("FailureReason") or None,
        job_arn=next(jobs, None),
    )


def _dataset(job: dict[str, Any]) -> str | None:
    for output in job.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        if output.get("OutputName") == DATASET_OUTPUT:
            uri = output.get("S3Output", {}).get("S3Uri")
            return str(uri) if uri else None
    return None


def _seconds(moment: datetime | None) -> datetime | None:
    """In UTC and whole seconds, as Kubernetes writes times."""
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)
