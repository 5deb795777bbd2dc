"""What the engine asks of whatever runs a step's job."""

from typing import Protocol

from isocenter.devcloud.sagemaker.models import Job, Observation


class Runner(Protocol):
    """Runs jobs by name; each call is short and safe to repeat."""

    def start(self, job: Job) -> None:
        """Begin the job, or do nothing if it was begun; RunnerError if refused."""

    def observe(self, job: Job) -> Observation:
        """How the job stands; RunnerError when that can't be told right now."""

    def stop(self, job: Job) -> None:
        """Ask the job to end; `observe` tells when it has."""

    def log(self, job: Job) -> str:
        """What the step's container has written so far."""


class RunnerError(Exception):
    """The runner could not do it; `permanent` says that repeating won't help."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
