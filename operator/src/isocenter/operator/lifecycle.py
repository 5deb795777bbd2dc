"""The life of a TrainingRun: what follows from what was seen. Pure.

``decide`` takes the spec, the status as stored and what an edge has just
observed, and answers the next status and the one action that is due. Called
without an observation it says what to do first. Every action may be repeated
after a crash: the request is written again with the same content, the execution
started again with the same token, the description read again.

::

    Pending --Start--> Starting --Describe--> Running -> Succeeded | Failed | Stopped
       |                              +--> Stopping -> Stopped
       +-- Problem(final) --> Failed

Statuses of executions and steps are those of the SageMaker API; one that is not
known yet is polled on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from isocenter.operator import reasons
from isocenter.operator.conditions import (
    Condition,
    ConditionStatus,
    condition,
    with_condition,
)
from isocenter.operator.reasons import Reason
from isocenter.operator.resources import (
    Attempt,
    Metric,
    StepState,
    TrainingRunSpec,
    TrainingRunStatus,
)
from isocenter.operator.resources.training_run import Phase

STARTED = reasons.STARTED.type
SUCCEEDED = reasons.SUCCEEDED.type
NOT_STARTED = "NotStarted"

_PHASES: dict[str, Phase] = {
    "Executing": "Running",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "Failed": "Failed",
    "Succeeded": "Succeeded",
    # Some steps failed and the definition let the rest go on: no result to trust.
    "CompletedWithFailures": "Failed",
}


@dataclass(frozen=True)
class Start:
    """Write the request and start the execution of this attempt."""

    attempt: int


@dataclass(frozen=True)
class Describe:
    """Read the execution and its steps."""

    execution_arn: str


Action = Start | Describe | None


@dataclass(frozen=True)
class Started:
    """SageMaker accepted the execution.

    ``steps`` are the names in the pipeline's definition, in its order.
    """

    execution_arn: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """DescribePipelineExecution."""

    status: str
    created_at: datetime | None
    changed_at: datetime | None
    failure_reason: str | None


@dataclass(frozen=True)
class Artifacts:
    """What the jobs of succeeded steps wrote, as far as it is known."""

    dataset_s3_uri: str | None = None
    model_s3_uri: str | None = None
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True)
class Seen:
    """The execution as it is now."""

    execution: Execution
    steps: tuple[StepState, ...]
    artifacts: Artifacts = field(default_factory=Artifacts)


@dataclass(frozen=True)
class Problem:
    """Something stood in the way of the action; ``final`` ends the run."""

    reason: Reason
    message: str
    final: bool = False


Observation = Started | Seen | Problem | None


@dataclass(frozen=True)
class Decision:
    """The status to store, and what to do next (None: wait for a change)."""

    status: TrainingRunStatus
    action: Action


def decide(
    spec: TrainingRunSpec,
    status: TrainingRunStatus,
    observed: Observation,
    *,
    generation: int,
    at: datetime,
) -> Decision:
    """The next status and action.

    ``generation`` is the run's ``metadata.generation``; ``at``, now, goes into
    transition and completion times.
    """
    if status.terminal:
        return Decision(status, None)
    status = status.model_copy(update={"observed_generation": generation})
    match observed:
        case Started():
            status = _started(status, observed, generation, at)
        case Seen():
            status = _seen(status, observed, generation, at)
        case Problem():
            status = _hindered(status, observed, generation, at)
        case None:
            status = _waiting(spec, status, generation, at)
    return Decision(status, _action(spec, status))


def _action(spec: TrainingRunSpec, status: TrainingRunStatus) -> Action:
    if status.terminal:
        return None
    if status.execution_arn:
        return Describe(status.execution_arn)
    return None if spec.suspend else Start(attempt=1)


def _waiting(
    spec: TrainingRunSpec, status: TrainingRunStatus, generation: int, at: datetime
) -> TrainingRunStatus:
    if status.execution_arn:
        return status
    if spec.suspend:
        reason, message = Reason.SUSPENDED, "not started while spec.suspend is true"
    elif (
        held := condition(status.conditions, STARTED)
    ) and held.reason != Reason.SUSPENDED:
        return status
    else:
        reason, message = Reason.STARTING, "about to be started"
    return status.model_copy(
        update={
            "phase": "Pending",
            "message": message,
            "conditions": _set(
                status.conditions, (STARTED, "False", reason, message), generation, at
            ),
        }
    )


def _started(
    status: TrainingRunStatus, seen: Started, generation: int, at: datetime
) -> TrainingRunStatus:
    steps = tuple(StepState(name=name, status=NOT_STARTED) for name in seen.steps)
    conditions = _set(
        status.conditions,
        (STARTED, "True", Reason.EXECUTION_STARTED, seen.execution_arn),
        generation,
        at,
    )
    return status.model_copy(
        update={
            "phase": "Starting",
            "execution_arn": seen.execution_arn,
            "attempts": (
                Attempt(attempt=1, execution_arn=seen.execution_arn, phase="Starting"),
            ),
            "steps": steps,
            "progress": _progress(steps),
            "message": "the execution was accepted",
            "conditions": _set(
                conditions,
                (SUCCEEDED, "Unknown", Reason.IN_PROGRESS, ""),
                generation,
                at,
            ),
        }
    )


def _seen(
    status: TrainingRunStatus, seen: Seen, generation: int, at: datetime
) -> TrainingRunStatus:
    execution = seen.execution
    phase = _PHASES.get(execution.status, status.phase)
    steps = _merged(status.steps, seen.steps)
    message = _message(execution, steps)
    update: dict[str, object] = {
        "phase": phase,
        "steps": steps,
        "progress": _progress(steps),
        "start_time": execution.created_at or status.start_time,
        "dataset_s3_uri": seen.artifacts.dataset_s3_uri or status.dataset_s3_uri,
        "model_s3_uri": seen.artifacts.model_s3_uri or status.model_s3_uri,
        "metrics": seen.artifacts.metrics or status.metrics,
        "message": message,
    }
    verdict: ConditionStatus = "Unknown"
    reason = Reason.IN_PROGRESS
    match phase:
        case "Succeeded":
            verdict, reason = "True", Reason.EXECUTION_SUCCEEDED
        case "Stopped":
            verdict, reason = "False", Reason.EXECUTION_STOPPED
        case "Failed":
            verdict, reason = "False", _failed_reason(execution)
        case _ if execution.status not in _PHASES:
            reason = Reason.STATUS_NOT_KNOWN
    if verdict != "Unknown":
        update["completion_time"] = execution.changed_at or at
    update["conditions"] = _set(
        status.conditions, (SUCCEEDED, verdict, reason, message), generation, at
    )
    update["attempts"] = tuple(
        attempt.model_copy(
            update={
                "phase": phase,
                "start_time": update["start_time"],
                "completion_time": update.get("completion_time"),
            }
        )
        for attempt in status.attempts
    )
    return status.model_copy(update=update)


def _hindered(
    status: TrainingRunStatus, problem: Problem, generation: int, at: datetime
) -> TrainingRunStatus:
    """A problem before the start concerns Started, later Succeeded."""
    conditions: tuple[Condition, ...] = status.conditions
    if not status.execution_arn:
        conditions = _set(
            conditions,
            (STARTED, "False", problem.reason, problem.message),
            generation,
            at,
        )
    if status.execution_arn or problem.final:
        conditions = _set(
            conditions,
            (
                SUCCEEDED,
                "False" if problem.final else "Unknown",
                problem.reason,
                problem.message,
            ),
            generation,
            at,
        )
    update: dict[str, object] = {
        "phase": status.phase or "Pending",
        "message": problem.message,
        "conditions": conditions,
    }
    if problem.final:
        update |= {"phase": "Failed", "completion_time": at}
        update["attempts"] = tuple(
            attempt.model_copy(update={"phase": "Failed", "completion_time": at})
            for attempt in status.attempts
        )
    return status.model_copy(update=update)


def _failed_reason(execution: Execution) -> Reason:
    if execution.status == "CompletedWithFailures":
        return Reason.COMPLETED_WITH_FAILURES
    return Reason.EXECUTION_FAILED


_MESSAGES = {
    "Stopping": "the execution is being stopped",
    "Stopped": "the execution was stopped",
    "Succeeded": "every step succeeded",
}


def _message(execution: Execution, steps: Sequence[StepState]) -> str:
    if text := _MESSAGES.get(execution.status):
        return text
    failed = "; ".join(
        f"step {step.name}: {step.failure_reason or step.status}"
        for step in steps
        if step.status == "Failed"
    )
    running = ", ".join(
        step.name for step in steps if step.status in {"Starting", "Executing"}
    )
    match execution.status:
        case "Executing":
            return f"running step {running}" if running else "between steps"
        case "CompletedWithFailures":
            return f"the execution completed, but not every step: {failed or 'unknown'}"
        case "Failed":
            return failed or execution.failure_reason or "the execution failed"
        case other:
            return f"status {other!r} is not known to this version; polling on"


def _merged(
    planned: Sequence[StepState], seen: Sequence[StepState]
) -> tuple[StepState, ...]:
    """Planned steps in their order, as seen; then those no definition named."""
    by_name = {step.name: step for step in seen}
    named = {step.name for step in planned}
    return (
        *(by_name.get(step.name, step) for step in planned),
        *(step for step in seen if step.name not in named),
    )


def _progress(steps: Sequence[StepState]) -> str:
    done = sum(step.status == "Succeeded" for step in steps)
    return f"{done}/{len(steps)}"


def _set(
    conditions: Sequence[Condition],
    new: tuple[str, ConditionStatus, Reason, str],
    generation: int,
    at: datetime,
) -> tuple[Condition, ...]:
    kind, status, reason, message = new
    return with_condition(
        conditions,
        kind=kind,
        status=status,
        reason=reason,
        message=message,
        generation=generation,
        at=at,
    )
