"""EventBridge events of pipelines, as SageMaker documents them.

"Events that Amazon SageMaker AI sends to Amazon EventBridge": source
`aws.sagemaker`; the execution event carries no FailureReason, describe for that.

Assumed: the first event of an execution has no previousPipelineExecutionStatus, the
first of a step no previousStepStatus.
"""

import json
from datetime import UTC, datetime
from typing import Any

from isocenter.devcloud.sagemaker.models import Execution, StepRun

SOURCE = "aws.sagemaker"
EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
STEP = "SageMaker Model Building Pipeline Execution Step Status Change"


def execution_event(
    execution: Execution, previous: str | None, now: float
) -> dict[str, Any]:
    """A PutEvents entry for a change of an execution's status."""
    detail = {
        "pipelineExecutionDescription": execution.description,
        "pipelineExecutionDisplayName": execution.display_name,
        "currentPipelineExecutionStatus": execution.status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": _time(execution.created),
        "executionEndTime": _time(execution.ended),
        "pipelineArn": execution.pipeline_arn,
        "pipelineExecutionArn": execution.arn,
    }
    return _entry(EXECUTION, execution, detail, now)


def step_event(
    execution: Execution, run: StepRun, previous: str | None, now: float
) -> dict[str, Any]:
    """A PutEvents entry for a change of a step's status."""
    metadata = {}
    if run.job is not None:
        kind = {"Processing": "processingJob", "Training": "trainingJob"}[run.job.kind]
        metadata = {kind: {"arn": run.job.arn}}
    detail = {
        "metadata": metadata,
        "stepName": run.step.name,
        "stepDisplayName": run.step.display_name or run.step.name,
        "stepDescription": run.step.description or "",
        "stepType": run.step.type,
        "stepStartTime": _time(run.started),
        "stepEndTime": _time(run.ended),
        "currentStepStatus": run.status,
        "previousStepStatus": previous,
        "failureReason": run.failure_reason,
        "pipelineArn": execution.pipeline_arn,
        "pipelineExecutionArn": execution.arn,
    }
    return _entry(STEP, execution, detail, now)


def _entry(
    detail_type: str, execution: Execution, detail: dict[str, Any], now: float
) -> dict[str, Any]:
    present = {key: value for key, value in detail.items() if value is not None}
    return {
        "Time": datetime.fromtimestamp(now, UTC),
        "Source": SOURCE,
        "DetailType": detail_type,
        "Resources": [execution.pipeline_arn, execution.arn],
        "Detail": json.dumps(present),
    }


def _time(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
