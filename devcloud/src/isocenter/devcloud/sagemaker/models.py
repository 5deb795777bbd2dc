"""What the account holds: pipelines, their executions, the jobs of their steps."""

import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from isocenter.devcloud.sagemaker.definition import Definition, Step

TERMINAL_EXECUTION = frozenset({"Succeeded", "Failed", "Stopped"})
TERMINAL_STEP = frozenset({"Succeeded", "Failed", "Stopped"})
TERMINAL_JOB = frozenset({"Completed", "Failed", "Stopped"})
# What FailureReason of a job or step, and of an execution, may hold.
MAX_REASON = 1024
MAX_EXECUTION_REASON = 1300
_ALPHABET = string.ascii_lowercase + string.digits


def random_id(length: int = 12) -> str:
    """An identifier as SageMaker makes them: `[a-z0-9]`."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


@dataclass(slots=True)
class Pipeline:
    """A pipeline; times are epoch seconds."""

    name: str
    arn: str
    role_arn: str
    definition_text: str
    definition: Definition
    created: float
    modified: float
    token: str
    display_name: str | None = None
    description: str | None = None
    parallelism: int | None = None
    last_run: float | None = None


@dataclass(slots=True)
class Job:
    """A processing or training job: the request it was made by, and how it went."""

    kind: str
    name: str
    arn: str
    request: dict[str, Any]
    created: float
    modified: float
    status: str = "InProgress"
    secondary: str = "Starting"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    failure_reason: str | None = None
    exit_message: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    model_uri: str | None = None
    log: str = ""


@dataclass(slots=True)
class StepRun:
    """One step of one execution; `status` None until it is its turn.

    `begun` says that the runner has taken the job.
    """

    step: Step
    status: str | None = None
    started: float | None = None
    ended: float | None = None
    failure_reason: str | None = None
    job: Job | None = None
    begun: bool = False


@dataclass(slots=True)
class Execution:
    """One execution, with the definition it was started by."""

    arn: str
    id: str
    pipeline_name: str
    pipeline_arn: str
    role_arn: str
    definition_text: str
    definition: Definition
    parameters: dict[str, Any]
    given: dict[str, str]
    created: float
    modified: float
    steps: dict[str, StepRun]
    parallelism: int | None = None
    display_name: str | None = None
    description: str | None = None
    status: str = "Executing"
    failure_reason: str | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a runner sees of a job; `phase` is a training job's SecondaryStatus.

    Starting, Downloading, Training, Uploading, then Completed, Failed, Stopped or
    MaxRuntimeExceeded.
    """

    phase: str
    failure_reason: str | None = None
    exit_message: str | None = None
    log: str | None = None
    metrics: dict[str, float] | None = None
    model_uri: str | None = None
