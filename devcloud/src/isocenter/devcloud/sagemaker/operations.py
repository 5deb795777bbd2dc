"""The SageMaker operations this cloud has, by name.

Each takes the request's members (already checked against the service model) and
returns the answer's, in wire form: times are epoch seconds.

Assumed: a ClientRequestToken counts per account and for ever; the same token with
other parameters is a ConflictException. A pipeline with live executions can't be
deleted (ConflictException), an execution that has ended can't be stopped
(ConflictException). The wording of all errors but that of a duplicate pipeline name.
Steps are listed newest first. The quota is 20 concurrent executions.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from isocenter.devcloud.sagemaker import definition as definitions
from isocenter.devcloud.sagemaker.engine import Engine
from isocenter.devcloud.sagemaker.errors import (
    ConflictError,
    NotBuiltError,
    ResourceLimitError,
    ValidationError,
)
from isocenter.devcloud.sagemaker.jobs import describe
from isocenter.devcloud.sagemaker.models import (
    TERMINAL_EXECUTION,
    Execution,
    Pipeline,
    StepRun,
    random_id,
)

Body = dict[str, Any]
_PAGE = 100
_MAX_PIPELINES = 500


class Operations:
    """The API over an engine's store; `table` maps operation names to methods."""

    def __init__(
        self, engine: Engine, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._clock = clock

    @property
    def table(self) -> dict[str, Callable[[Body], Body]]:
        """Every operation that is built."""
        return {
            "AddTags": self._add_tags,
            "CreatePipeline": self._create_pipeline,
            "DeletePipeline": self._delete_pipeline,
            "DescribePipeline": self._describe_pipeline,
            "DescribePipelineDefinitionForExecution": self._describe_definition,
            "DescribePipelineExecution": self._describe_execution,
            "DescribeProcessingJob": self._describe_processing_job,
            "DescribeTrainingJob": self._describe_training_job,
            "ListPipelineExecutionSteps": self._list_steps,
            "ListPipelineExecutions": self._list_executions,
            "ListPipelineParametersForExecution": self._list_parameters,
            "ListPipelines": self._list_pipelines,
            "ListTags": self._list_tags,
            "StartPipelineExecution": self._start_execution,
            "StopPipelineExecution": self._stop_execution,
            "UpdatePipeline": self._update_pipeline,
        }

    def call(self, operation: str, request: Body) -> Body:
        """Carry out one operation; raises ApiError."""
        present = {name: value for name, value in request.items() if value is not None}
        with self._store.lock:
            return self.table[operation](present)

    # Pipelines

    def _create_pipeline(self, request: Body) -> Body:
        name, token = request["PipelineName"], request["ClientRequestToken"]
        _refuse(request, "PipelineVersionAliases", "PipelineDefinitionS3Location")
        existing = self._store.pipelines.get(name.lower())
        if existing is not None:
            if existing.token == token:
                return {"PipelineArn": existing.arn}
            raise ValidationError(
                "Pipeline names must be unique within an AWS account and region. "
                f"Pipeline with name ({name}) already exists."
            )
        if len(self._store.pipelines) >= _MAX_PIPELINES:
            raise ResourceLimitError(f"The account has {_MAX_PIPELINES} pipelines")
        text = _definition_text(request)
        now = self._clock()
        pipeline = Pipeline(
            name=name,
            arn=self._store.pipeline_arn(name),
            role_arn=request["RoleArn"],
            definition_text=text,
            definition=definitions.parse(text),
            created=now,
            modified=now,
            token=token,
            display_name=request.get("PipelineDisplayName"),
            description=request.get("PipelineDescription"),
            parallelism=_parallelism(request),
        )
        self._store.pipelines[name.lower()] = pipeline
        self._tag(pipeline.arn, request.get("Tags", []))
        return {"PipelineArn": pipeline.arn}

    def _update_pipeline(self, request: Body) -> Body:
        pipeline = self._store.pipeline(request["PipelineName"])
        _refuse(request, "PipelineVersionAliases", "PipelineDefinitionS3Location")
        if "PipelineDefinition" in request:
            text = _definition_text(request)
            pipeline.definition = definitions.parse(text)
            pipeline.definition_text = text
        pipeline.role_arn = request.get("RoleArn", pipeline.role_arn)
        pipeline.display_name = request.get(
            "PipelineDisplayName", pipeline.display_name
        )
        pipeline.description = request.get("PipelineDescription", pipeline.description)
        pipeline.parallelism = _parallelism(request) or pipeline.parallelism
        pipeline.modified = self._clock()
        return {"PipelineArn": pipeline.arn}

    def _describe_pipeline(self, request: Body) -> Body:
        _refuse(request, "PipelineVersionId", "PipelineVersionAlias")
        pipeline = self._store.pipeline(request["PipelineName"])
        return _present(
            {
                **_summary_of_pipeline(pipeline),
                "PipelineDefinition": pipeline.definition_text,
                "PipelineStatus": "Active",
                "LastRunTime": pipeline.last_run,
                "ParallelismConfiguration": _parallelism_body(pipeline.parallelism),
            }
        )

    def _delete_pipeline(self, request: Body) -> Body:
        pipeline = self._store.pipeline(request["PipelineName"])
        if any(one.pipeline_arn == pipeline.arn for one in self._store.live()):
            raise ConflictError(
                f"Pipeline '{pipeline.arn}' has executions that are not complete"
            )
        del self._store.pipelines[pipeline.name.lower()]
        self._store.tags.pop(pipeline.arn, None)
        return {"PipelineArn": pipeline.arn}

    def _list_pipelines(self, request: Body) -> Body:
        _refuse(request, "ManagedBy")
        prefix = request.get("PipelineNamePrefix", "")
        found = [
            pipeline
            for pipeline in self._store.pipelines.values()
            if pipeline.name.startswith(prefix)
            and _created_within(pipeline.created, request)
        ]
        by_name = request.get("SortBy") == "Name"
        found.sort(
            key=lambda one: (one.name if by_name else one.created, one.name),
            reverse=request.get("SortOrder", "Descending") == "Descending",
        )
        page, token = _page(found, request)
        summaries = [
            _present({**_summary_of_pipeline(one), "LastExecutionTime": one.last_run})
            for one in page
        ]
        return _present({"PipelineSummaries": summaries, "NextToken": token})

    # Executions

    def _start_execution(self, request: Body) -> Body:
        _refuse(
            request,
            "SelectiveExecutionConfig",
            "PipelineVersionId",
            "PipelineVersionAlias",
            "MlflowExperimentName",
            "RoleArn",
        )
        pipeline = self._store.pipeline(request["PipelineName"])
        key = ("StartPipelineExecution", request["ClientRequestToken"])
        asked = {k: v for k, v in request.items() if k != "ClientRequestToken"}
        asked["PipelineName"] = pipeline.arn
        if key in self._store.tokens:
            before, arn = self._store.tokens[key]
            if before != asked:
                raise ConflictError(
                    "The ClientRequestToken was used with other parameters before"
                )
            return {"PipelineExecutionArn": arn}
        parameters = _parameters(request.get("PipelineParameters", []))
        bound = definitions.bind(pipeline.definition, parameters)
        limit = self._store.concurrent_executions
        if len(self._store.live()) >= limit:
            raise ResourceLimitError(
                "The account-level service limit for concurrent pipeline executions "
                f"is {limit}"
            )
        execution = self._execution(pipeline, request, parameters, bound)
        self._store.executions[execution.arn] = execution
        self._store.tokens[key] = (asked, execution.arn)
        pipeline.last_run = execution.created
        self._engine.record(execution, None)
        return {"PipelineExecutionArn": execution.arn}

    def _execution(
        self, pipeline: Pipeline, request: Body, given: dict[str, str], bound: Body
    ) -> Execution:
        now = self._clock()
        identifier = random_id()
        return Execution(
            arn=f"{pipeline.arn}/execution/{identifier}",
            id=identifier,
            pipeline_name=pipeline.name,
            pipeline_arn=pipeline.arn,
            role_arn=pipeline.role_arn,
            definition_text=pipeline.definition_text,
            definition=pipeline.definition,
            parameters=bound,
            given=given,
            created=now,
            modified=now,
            steps={
                name: StepRun(step) for name, step in pipeline.definition.steps.items()
            },
            parallelism=_parallelism(request) or pipeline.parallelism,
            display_name=request.get("PipelineExecutionDisplayName"),
            description=request.get("PipelineExecutionDescription"),
        )

    def _describe_execution(self, request: Body) -> Body:
        execution = self._store.execution(request["PipelineExecutionArn"])
        return _present(
            {
                "PipelineArn": execution.pipeline_arn,
                "PipelineExecutionArn": execution.arn,
                "PipelineExecutionDisplayName": execution.display_name,
                "PipelineExecutionStatus": execution.status,
                "PipelineExecutionDescription": execution.description,
                "FailureReason": execution.failure_reason,
                "CreationTime": execution.created,
                "LastModifiedTime": execution.modified,
                "ParallelismConfiguration": _parallelism_body(execution.parallelism),
            }
        )

    def _list_executions(self, request: Body) -> Body:
        _refuse(request, "PipelineVersionAlias")
        pipeline = self._store.pipeline(request["PipelineName"])
        found = [
            execution
            for execution in self._store.executions.values()
            if execution.pipeline_arn == pipeline.arn
            and _created_within(execution.created, request)
        ]
        by_arn = request.get("SortBy") == "PipelineExecutionArn"
        found.sort(
            key=lambda one: (one.arn if by_arn else one.created, one.arn),
            reverse=request.get("SortOrder", "Descending") == "Descending",
        )
        page, token = _page(found, request)
        summaries = [
            _present(
                {
                    "PipelineExecutionArn": one.arn,
                    "StartTime": one.created,
                    "PipelineExecutionStatus": one.status,
                    "PipelineExecutionDescription": one.description,
                    "PipelineExecutionDisplayName": one.display_name,
                    "PipelineExecutionFailureReason": one.failure_reason,
                }
            )
            for one in page
        ]
        return _present({"PipelineExecutionSummaries": summaries, "NextToken": token})

    def _list_steps(self, request: Body) -> Body:
        if "PipelineExecutionArn" not in request:
            raise ValidationError("PipelineExecutionArn is required")
        execution = self._store.execution(request["PipelineExecutionArn"])
        begun = [run for run in execution.steps.values() if run.status is not None]
        begun.sort(key=lambda run: run.started or 0.0)
        if request.get("SortOrder", "Descending") == "Descending":
            begun.reverse()
        page, token = _page(begun, request)
        return _present(
            {"PipelineExecutionSteps": [_step(run) for run in page], "NextToken": token}
        )

    def _list_parameters(self, request: Body) -> Body:
        execution = self._store.execution(request["PipelineExecutionArn"])
        entries = [
            {"Name": name, "Value": execution.given.get(name, _text(value))}
            for name, value in execution.parameters.items()
        ]
        page, token = _page(entries, request)
        return _present({"PipelineParameters": page, "NextToken": token})

    def _describe_definition(self, request: Body) -> Body:
        execution = self._store.execution(request["PipelineExecutionArn"])
        return {
            "PipelineDefinition": execution.definition_text,
            "CreationTime": execution.created,
        }

    def _stop_execution(self, request: Body) -> Body:
        execution = self._store.execution(request["PipelineExecutionArn"])
        key = ("StopPipelineExecution", request["ClientRequestToken"])
        if self._store.tokens.get(key) == (execution.arn, execution.arn):
            return {"PipelineExecutionArn": execution.arn}
        if execution.status in TERMINAL_EXECUTION:
            raise ConflictError(
                f"Pipeline execution with ARN {execution.arn} is "
                f"{execution.status}: only an Executing one can be stopped"
            )
        self._store.tokens[key] = (execution.arn, execution.arn)
        if execution.status == "Executing":
            execution.status, execution.modified = "Stopping", self._clock()
            self._engine.record(execution, "Executing")
        return {"PipelineExecutionArn": execution.arn}

    # Jobs and tags

    def _describe_processing_job(self, request: Body) -> Body:
        return describe(self._store.job("Processing", request["ProcessingJobName"]))

    def _describe_training_job(self, request: Body) -> Body:
        return describe(self._store.job("Training", request["TrainingJobName"]))

    def _add_tags(self, request: Body) -> Body:
        tags = self._tag(self._taggable(request), request["Tags"])
        return {"Tags": tags}

    def _list_tags(self, request: Body) -> Body:
        page, token = _page(self._tag(self._taggable(request), []), request)
        return _present({"Tags": page, "NextToken": token})

    def _taggable(self, request: Body) -> str:
        arn: str = request["ResourceArn"]
        if ":pipeline/" not in arn or "/execution/" in arn:
            raise NotBuiltError("devcloud tags pipelines only")
        return self._store.pipeline(arn).arn

    def _tag(self, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
        held = self._store.tags.setdefault(arn, {})
        held.update({tag["Key"]: tag["Value"] for tag in tags})
        return [{"Key": key, "Value": value} for key, value in held.items()]


def _definition_text(request: Body) -> str:
    if "PipelineDefinition" not in request:
        raise ValidationError("PipelineDefinition is required")
    text: str = request["PipelineDefinition"]
    return text


def _parameters(entries: list[dict[str, str]]) -> dict[str, str]:
    parameters = {entry["Name"]: entry["Value"] for entry in entries}
    if len(parameters) != len(entries):
        raise ValidationError("PipelineParameters names a parameter twice")
    return parameters


def _refuse(request: Body, *members: str) -> None:
    for member in members:
        if member in request:
            raise NotBuiltError(f"The request member {member} is not built in devcloud")


def _parallelism(request: Body) -> int | None:
    configuration = request.get("ParallelismConfiguration")
    return configuration["MaxParallelExecutionSteps"] if configuration else None


def _parallelism_body(parallelism: int | None) -> Body | None:
    return {"MaxParallelExecutionSteps": parallelism} if parallelism else None


def _summary_of_pipeline(pipeline: Pipeline) -> Body:
    return {
        "PipelineArn": pipeline.arn,
        "PipelineName": pipeline.name,
        "PipelineDisplayName": pipeline.display_name or pipeline.name,
        "PipelineDescription": pipeline.description,
        "RoleArn": pipeline.role_arn,
        "CreationTime": pipeline.created,
        "LastModifiedTime": pipeline.modified,
    }


def _step(run: StepRun) -> Body:
    metadata = {}
    if run.job is not None:
        metadata = {f"{run.job.kind}Job": {"Arn": run.job.arn}}
    return _present(
        {
            "StepName": run.step.name,
            "StepDisplayName": run.step.display_name,
            "StepDescription": run.step.description,
            "StartTime": run.started,
            "EndTime": run.ended,
            "StepStatus": run.status,
            "FailureReason": run.failure_reason,
            "Metadata": metadata,
            "AttemptCount": 1,
        }
    )


def _created_within(created: float, request: Body) -> bool:
    after = request.get("CreatedAfter", float("-inf"))
    before = request.get("CreatedBefore", float("inf"))
    return bool(after <= created <= before)


def _page(items: list[Any], request: Body) -> tuple[list[Any], str | None]:
    """One page and the token of the next; a token is the offset it starts at."""
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise ValidationError("Invalid NextToken")
    start = int(token)
    end = start + request.get("MaxResults", _PAGE)
    return items[start:end], str(end) if end < len(items) else None


def _present(body: Body) -> Body:
    return {name: value for name, value in body.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
