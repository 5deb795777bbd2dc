"""The account's state, in memory: a restarted devcloud is a new account."""

import threading
from typing import Any

from isocenter.devcloud.sagemaker.errors import ResourceNotFoundError
from isocenter.devcloud.sagemaker.models import (
    TERMINAL_EXECUTION,
    Execution,
    Job,
    Pipeline,
)


class Store:
    """Every collection of the account; hold `lock` while reading or changing it."""

    def __init__(self, account_id: str, region: str) -> None:
        self.lock = threading.RLock()
        self.account_id = account_id
        self.region = region
        self.pipelines: dict[str, Pipeline] = {}
        self.executions: dict[str, Execution] = {}
        # By name in lower case.
        self.jobs: dict[str, Job] = {}
        self.tags: dict[str, dict[str, str]] = {}
        # ClientRequestToken -> what it was used for and the answer it got.
        self.tokens: dict[tuple[str, str], tuple[Any, str]] = {}
        # PutEvents entries that are not sent yet, in order.
        self.outbox: list[dict[str, Any]] = []
        self.concurrent_executions = 20

    @property
    def arn_prefix(self) -> str:
        """`arn:aws:sagemaker:<region>:<account>`."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}"

    def pipeline_arn(self, name: str) -> str:
        """A pipeline's ARN carries its name in lower case."""
        return f"{self.arn_prefix}:pipeline/{name.lower()}"

    def pipeline(self, name_or_arn: str) -> Pipeline:
        """The pipeline of a name or an ARN."""
        key = name_or_arn.rsplit("/", 1)[-1].lower()
        pipeline = self.pipelines.get(key)
        if pipeline is None or (":" in name_or_arn and pipeline.arn != name_or_arn):
            arn = self.pipeline_arn(key)
            raise ResourceNotFoundError(f"Pipeline '{arn}' does not exist.")
        return pipeline

    def execution(self, arn: str) -> Execution:
        """The execution of an ARN."""
        execution = self.executions.get(arn)
        if execution is None:
            raise ResourceNotFoundError(f"Pipeline execution '{arn}' does not exist.")
        return execution

    def job(self, kind: str, name: str) -> Job:
        """The job of a kind and a name; case does not count, as ARNs have it lower."""
        job = self.jobs.get(name.lower())
        if job is None or job.kind != kind:
            raise ResourceNotFoundError(
                f"Requested resource not found: {kind} job {name}"
            )
        return job

    def live(self) -> list[Execution]:
        """Executions that have not ended, oldest first."""
        return [
            execution
            for execution in self.executions.values()
            if execution.status not in TERMINAL_EXECUTION
        ]
