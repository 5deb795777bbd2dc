"""The engine: walks every live execution, one tick after the other.

A tick looks at each running job, lets the steps whose turn it is begin, ends what is
done, and sends the events of all that by PutEvents. Calls to the runner and to
EventBridge are made without the store's lock, so the API answers meanwhile.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from isocenter.devcloud.sagemaker import lifecycle
from isocenter.devcloud.sagemaker.errors import ApiError
from isocenter.devcloud.sagemaker.events import execution_event, step_event
from isocenter.devcloud.sagemaker.expressions import Scope, resolve
from isocenter.devcloud.sagemaker.jobs import create_job, describe, job_name
from isocenter.devcloud.sagemaker.models import (
    MAX_REASON,
    Execution,
    Job,
    Observation,
    StepRun,
)
from isocenter.devcloud.sagemaker.runner import Runner, RunnerError
from isocenter.devcloud.sagemaker.store import Store

logger = logging.getLogger(__name__)

# PutEvents takes at most ten entries a call.
_BATCH = 10


class Engine:
    """Drives a store by a runner; `publish` sends a list of PutEvents entries."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        publish: Callable[[list[dict[str, Any]]], None],
        *,
        clock: Callable[[], float] = time.time,
        event_copies: int = 1,
    ) -> None:
        self.store = store
        self.runner = runner
        self.event_copies = event_copies
        self._publish = publish
        self._clock = clock
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, interval: float) -> None:
        """Tick every `interval` seconds in a thread."""
        self._thread = threading.Thread(
            target=self._loop, args=(interval,), name="sagemaker-engine", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the tick under way."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def tick(self) -> None:
        """One step of every live execution."""
        with self.store.lock:
            executions = self.store.live()
        for execution in executions:
            self._stop_jobs(execution)
            self._observe_jobs(execution)
            self._start_steps(execution)
            self._finish(execution)
        self.flush()

    def record(self, execution: Execution, previous: str | None) -> None:
        """Note the event of an execution's new status; hold the store's lock."""
        entry = execution_event(execution, previous, self._clock())
        self.store.outbox.extend([entry] * self.event_copies)

    def flush(self) -> None:
        """Send noted events in order; what can't be sent stays for the next tick."""
        while True:
            with self.store.lock:
                batch = self.store.outbox[:_BATCH]
            if not batch:
                return
            try:
                self._publish(batch)
            except Exception:  # EventBridge may be away in any way there is
                logger.exception("events could not be sent, will be tried again")
                return
            with self.store.lock:
                del self.store.outbox[: len(batch)]

    def _loop(self, interval: float) -> None:
        while not self._end.wait(interval):
            try:
                self.tick()
            except Exception:  # one bad execution must not end all others
                logger.exception("tick failed")

    def _stop_jobs(self, execution: Execution) -> None:
        if execution.status != "Stopping":
            return
        for run in lifecycle.active(execution):
            if run.job is None or run.status == "Stopping":
                continue
            try:
                self.runner.stop(run.job)
            except RunnerError as error:
                logger.warning("job %s could not be stopped: %s", run.job.name, error)
                continue
            with self.store.lock:
                run.begun = True
                run.job.status = "Stopping"
                self._settle(execution, run, "Stopping")

    def _observe_jobs(self, execution: Execution) -> None:
        for run in lifecycle.active(execution):
            if run.job is None or not run.begun:
                continue
            try:
                seen = self.runner.observe(run.job)
            except RunnerError as error:
                logger.warning("job %s could not be seen: %s", run.job.name, error)
                continue
            with self.store.lock:
                if lifecycle.observe(run.job, seen, self._clock()):
                    execution.modified = self._clock()
                status = lifecycle.step_status(run)
                if status != run.status:
                    self._settle(execution, run, status)

    def _start_steps(self, execution: Execution) -> None:
        with self.store.lock:
            for run in lifecycle.ready(execution):
                run.started = self._clock()
                self._settle(execution, run, "Starting")
            waiting = [run for run in lifecycle.active(execution) if not run.begun]
        for run in waiting:
            self._start_step(execution, run)

    def _start_step(self, execution: Execution, run: StepRun) -> None:
        try:
            if run.job is None:
                job = self._job(execution, run)
                with self.store.lock:
                    run.job = self.store.jobs[job.name.lower()] = job
            self.runner.start(run.job)
        except RunnerError as error:
            if not error.permanent:
                logger.warning("step %s waits: %s", run.step.name, error)
                return
            self._fail_step(execution, run, f"InternalServerError: {error}")
        except ApiError as error:
            # RetryPolicies are not built: the step fails at once.
            operation = f"sagemaker:Create{run.step.type}Job"
            text = f"ClientError: Failed to invoke {operation}. Error Details: {error}"
            self._fail_step(execution, run, text)
        else:
            run.begun = True

    def _fail_step(self, execution: Execution, run: StepRun, reason: str) -> None:
        with self.store.lock:
            run.failure_reason = reason[:MAX_REASON]
            if run.job is not None:
                seen = Observation("Failed", failure_reason=reason)
                lifecycle.observe(run.job, seen, self._clock())
            self._settle(execution, run, "Failed")

    def _job(self, execution: Execution, run: StepRun) -> Job:
        now = self._clock()
        name = job_name(execution.id, run.step.name)
        scope = Scope(
            parameters=execution.parameters,
            execution={
                "CurrentDateTime": _iso(now),
                "PipelineArn": execution.pipeline_arn,
                "PipelineExecutionArn": execution.arn,
                "PipelineExecutionId": execution.id,
                "PipelineName": execution.pipeline_name,
                "StartDateTime": _iso(execution.created),
                f"{run.step.type}JobName": name,
            },
            step=lambda other: self._properties(execution.steps[other]),
        )
        arguments = resolve(run.step.arguments, scope)
        # The service drops what a pipeline's step may not fix itself.
        arguments.pop(f"{run.step.type}JobName", None)
        return create_job(
            run.step.type, name, self.store.arn_prefix, arguments, now=now
        )

    @staticmethod
    def _properties(run: StepRun) -> dict[str, Any]:
        return {} if run.job is None else describe(run.job)

    def _finish(self, execution: Execution) -> None:
        with self.store.lock:
            status = lifecycle.verdict(execution)
            if status is not None:
                previous = execution.status
                lifecycle.finish(execution, status, self._clock())
                self.record(execution, previous)

    def _settle(self, execution: Execution, run: StepRun, status: str) -> None:
        previous = run.status
        lifecycle.settle(run, status, self._clock())
        entry = step_event(execution, run, previous, self._clock())
        self.store.outbox.extend([entry] * self.event_copies)


def ended(status: str, **said: Any) -> Observation:
    """An observation for a control call: status Succeeded or Failed."""
    phases = {"Succeeded": "Completed", "Failed": "Failed"}
    return Observation(phases[status], **said)


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
