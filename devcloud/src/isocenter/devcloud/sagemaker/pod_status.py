"""What a step's pod says about its job: pod status in, Observation out.

Wording of FailureReason as SageMaker's: `AlgorithmError: <text>, exit code: N` for
the container's own failure, `ClientError: ...` for what the caller got wrong,
`CapacityError: ...` when no machine is to be had.

Assumed: the wording; that a container which wrote no message is quoted by the end of
its log; that outputs of a container that failed are not uploaded.
"""

from datetime import UTC, datetime
from typing import Any

from isocenter.devcloud.sagemaker.models import MAX_REASON, Observation

# A pull may fail once and succeed later; a name that can't be one never does.
_NEVER = frozenset({"InvalidImageName", "CreateContainerConfigError"})
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"})
_BROKEN = frozenset({"CreateContainerError", "RunContainerError"})
PULL_PATIENCE = 60.0
SCHEDULE_PATIENCE = 300.0
_PHASES = {"inputs": "Downloading", "step": "Training", "outputs": "Uploading"}


def observation(pod: dict[str, Any], log: str, now: float) -> Observation:
    """How the job stands by its pod (camelCase, as the API server gives it).

    `log` is the step container's log so far, `now` in epoch seconds.
    """
    status = pod.get("status", {})
    states = _states(status)
    if status.get("phase") == "Failed" and status.get("reason") == "DeadlineExceeded":
        return Observation("MaxRuntimeExceeded", log=log)
    for name in ("inputs", "step", "outputs"):
        failed = _failure(name, states.get(name, {}), log)
        if failed:
            return Observation(
                "Failed",
                failure_reason=failed,
                exit_message=_exit_message(states, log),
                log=log,
            )
    if status.get("phase") == "Failed":
        text = status.get("message") or status.get("reason") or "no reason given"
        reason = f"InternalServerError: the step's pod failed: {text}"
        return Observation("Failed", failure_reason=reason, log=log)
    if status.get("phase") == "Succeeded":
        return Observation(
            "Completed", exit_message=_exit_message(states, log), log=log
        )
    hopeless = stuck(pod, now)
    if hopeless:
        return Observation("Failed", failure_reason=hopeless, log=log)
    return Observation(_phase(states), log=log or None)


def step_state(pod: dict[str, Any]) -> str | None:
    """`waiting`, `running` or `terminated`: how the step's own container stands."""
    return next(iter(_states(pod.get("status", {})).get("step", {})), None)


def _states(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    entries = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    return {entry["name"]: entry.get("state") or {} for entry in entries}


def _phase(states: dict[str, dict[str, Any]]) -> str:
    for name in ("outputs", "step", "inputs"):
        state = states.get(name, {})
        if "running" in state:
            return _PHASES[name]
        if "terminated" in state:
            # Between two containers of the pod: the next one's work has begun.
            return {"inputs": "Downloading", "step": "Uploading"}.get(name, "Uploading")
    return "Starting"


def _failure(name: str, state: dict[str, Any], log: str) -> str | None:
    ended = state.get("terminated")
    if not ended or ended.get("exitCode", 0) == 0:
        return None
    message = (ended.get("message") or "").strip()
    code = ended["exitCode"]
    if name == "inputs":
        return f"ClientError: Data download failed: {message[-900:]}"
    if name == "outputs":
        return f"ClientError: Data upload failed: {message[-900:]}"
    if ended.get("reason") == "OOMKilled":
        text = "the container was killed for its memory (OOMKilled)"
    else:
        text = _own_words(message, log) or f"container ended: {ended.get('reason')}"
    suffix = f", exit code: {code}"
    return f"AlgorithmError: {text}"[: MAX_REASON - len(suffix)] + suffix


def _own_words(message: str, log: str) -> str:
    """A failure file counts from its beginning, the end of a log from its end."""
    room = MAX_REASON - 50
    if message and _is_log(message, log):
        return message[-room:]
    return message[:room]


def _exit_message(states: dict[str, dict[str, Any]], log: str) -> str | None:
    ended = states.get("step", {}).get("terminated") or {}
    message = (ended.get("message") or "").strip()
    return None if _is_log(message, log) else message or None


def _is_log(message: str, log: str) -> bool:
    """Whether Kubernetes fell back to the log because no message was written."""
    return log.rstrip().endswith(message[-200:])


def stuck(pod: dict[str, Any], now: float) -> str | None:
    """Why a pod that has not ended never will begin; None while there is hope."""
    status = pod.get("status", {})
    states = _states(status)
    if status.get("phase") in {"Succeeded", "Failed"}:
        return None
    for name, state in states.items():
        waiting = state.get("waiting") or {}
        reason, message = waiting.get("reason"), waiting.get("message", "")
        began = status.get("startTime")
        if reason in _NEVER or (
            reason in _PULLING | _BROKEN and _age(began, now) > PULL_PATIENCE
        ):
            return f"ClientError: container {name} can't start: {reason}: {message}"
    for condition in status.get("conditions") or []:
        if (
            condition["type"] == "PodScheduled"
            and condition["status"] == "False"
            and _age(condition.get("lastTransitionTime"), now) > SCHEDULE_PATIENCE
        ):
            return (
                "CapacityError: Unable to provision requested ML compute capacity: "
                f"{condition.get('reason')}: {condition.get('message')}"
            )
    return None


def _age(since: str | None, now: float) -> float:
    """Seconds since an RFC 3339 time; 0 when there is none."""
    if since is None:
        return 0.0
    return now - datetime.fromisoformat(since).astimezone(UTC).timestamp()
