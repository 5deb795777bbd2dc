"""How executions, steps and jobs walk: pure decisions over the models.

Execution: Executing -> Succeeded | Failed, or Stopping -> Stopped. Step: Starting ->
Executing -> Succeeded | Failed, or Stopping -> Stopped.

Assumed: after a step failed no further step starts, those under way are waited for,
and then the execution has failed; CompletedWithFailures is never reached. A job that
ends as Stopped by itself (MaxRuntimeInSeconds) fails its step. Fifty steps run at a
time where no ParallelismConfiguration says otherwise.
"""

from isocenter.devcloud.sagemaker.metrics import final_metrics
from isocenter.devcloud.sagemaker.models import (
    MAX_EXECUTION_REASON,
    MAX_REASON,
    TERMINAL_EXECUTION,
    TERMINAL_JOB,
    TERMINAL_STEP,
    Execution,
    Job,
    Observation,
    StepRun,
)

# Terminal phase of a runner -> status of the job.
_JOB_STATUS = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
}
_DEFAULT_PARALLELISM = 50
# What a FailureReason begins with.
_KINDS = ("AlgorithmError", "ClientError", "CapacityError", "InternalServerError")


def active(execution: Execution) -> list[StepRun]:
    """Steps that were started and have not ended."""
    return [
        run
        for run in execution.steps.values()
        if run.status is not None and run.status not in TERMINAL_STEP
    ]


def ready(execution: Execution) -> list[StepRun]:
    """Steps whose turn it is, in definition order, within the parallelism."""
    runs = execution.steps.values()
    if execution.status != "Executing" or any(r.status == "Failed" for r in runs):
        return []
    room = (execution.parallelism or _DEFAULT_PARALLELISM) - len(active(execution))
    able = [
        run
        for run in runs
        if run.status is None
        and all(execution.steps[name].status == "Succeeded" for name in run.step.after)
    ]
    return able[: max(0, room)]


def verdict(execution: Execution) -> str | None:
    """The terminal status the execution has come to, None while it goes on."""
    if execution.status in TERMINAL_EXECUTION or active(execution):
        return None
    statuses = {run.status for run in execution.steps.values()}
    if execution.status == "Stopping":
        return "Stopped"
    if "Failed" in statuses:
        return "Failed"
    if "Stopped" in statuses:
        # A job that ended as Stopped without a StopPipelineExecution.
        return "Failed"
    return "Succeeded" if statuses == {"Succeeded"} else None


def finish(execution: Execution, status: str, now: float) -> None:
    """Give the execution its terminal status."""
    execution.status = status
    execution.ended = execution.modified = now
    if status == "Failed":
        failed = [
            run.step.name
            for run in execution.steps.values()
            if run.status in {"Failed", "Stopped"}
        ]
        text = f"Step failure: One or multiple steps failed: {', '.join(failed)}"
        execution.failure_reason = text[:MAX_EXECUTION_REASON]


def observe(job: Job, seen: Observation, now: float) -> bool:
    """Write what the runner saw into the job; True when the job has changed."""
    if job.status in TERMINAL_JOB:
        return False
    if seen.log is not None:
        job.log = seen.log
    if seen.phase == job.secondary and job.transitions:
        return False
    _transition(job, seen.phase, now)
    job.modified = now
    if seen.phase not in _JOB_STATUS:
        if seen.phase != "Starting" and job.started is None:
            job.started = now
        return True
    job.status = _JOB_STATUS[seen.phase]
    job.ended = now
    job.started = job.started or job.created
    job.failure_reason = seen.failure_reason and seen.failure_reason[:MAX_REASON]
    job.exit_message = seen.exit_message and seen.exit_message[:MAX_REASON]
    if seen.model_uri is not None:
        job.model_uri = seen.model_uri
    if job.kind == "Training":
        algorithm = job.request["AlgorithmSpecification"]
        job.metrics = final_metrics(
            algorithm.get("MetricDefinitions", []), job.log, now
        ) or [
            {"MetricName": name, "Value": value, "Timestamp": now}
            for name, value in (seen.metrics or {}).items()
        ]
    return True


def step_status(run: StepRun) -> str:
    """The status a step has by its job."""
    job = run.job
    if job is None or run.status in TERMINAL_STEP:
        return run.status or "Starting"
    if job.status == "Completed":
        return "Succeeded"
    if job.status == "Failed":
        return "Failed"
    if job.status == "Stopped":
        return "Stopped" if run.status == "Stopping" else "Failed"
    if run.status == "Stopping":
        return "Stopping"
    return "Executing" if job.transitions else "Starting"


def settle(run: StepRun, status: str, now: float) -> None:
    """Give the step a status, with what a terminal one brings."""
    run.status = status
    if status not in TERMINAL_STEP:
        return
    run.ended = now
    if status == "Failed" and run.failure_reason is None and run.job is not None:
        job = run.job
        reason = job.failure_reason or f"the job ended as {job.status}"
        if job.secondary == "MaxRuntimeExceeded":
            reason = "the job ran longer than its MaxRuntimeInSeconds"
        if not reason.startswith(_KINDS):
            reason = f"ClientError: {reason}"
        run.failure_reason = reason[:MAX_REASON]


def _transition(job: Job, phase: str, now: float) -> None:
    if job.transitions:
        job.transitions[-1]["EndTime"] = now
    entry = {"Status": phase, "StartTime": now}
    if phase in _JOB_STATUS:
        entry["EndTime"] = now
    job.secondary = phase
    job.transitions.append(entry)
