"""Reconciles TrainingRuns: decides by ``lifecycle``, acts through ``executions``."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from isocenter.core.errors import DeniedError, IsocenterError, NotFoundError
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator import lifecycle, metrics, problems
from isocenter.operator.executions import Executions
from isocenter.operator.lifecycle import Artifacts, Describe, Problem, Seen, Start
from isocenter.operator.reasons import Reason
from isocenter.operator.reconciling import Next, Result, invalid_spec
from isocenter.operator.resources import StepState, TrainingRun, merge_patch

log = logging.getLogger(__name__)


class TrainingRuns:
    """The reconciler of TrainingRuns.

    Args:
        image_set_checks: runs of at most so many image sets are checked by
            GetImageSet before they start.
    """

    def __init__(
        self,
        executions: Executions,
        healthimaging: HealthImaging,
        *,
        image_set_checks: int,
    ) -> None:
        self._executions = executions
        self._healthimaging = healthimaging
        self._image_set_checks = image_set_checks

    def reconcile(self, body: Mapping[str, Any], at: datetime) -> Result:
        """One look: at most one start or one description."""
        try:
            run = TrainingRun.model_validate(body)
        except ValidationError as error:
            return invalid_spec(body, lifecycle.STARTED, error, at)
        generation = run.metadata.generation
        first = lifecycle.decide(
            run.spec, run.status, None, generation=generation, at=at
        )
        status, observed = first.status, None
        if first.action is not None:
            observed = self._perform(run, first.action)
            status = lifecycle.decide(
                run.spec, first.status, observed, generation=generation, at=at
            ).status
        return Result(
            patch=merge_patch(run.status, status),
            after=_next(status.terminal, first.action is not None, observed),
            phase=status.phase,
        )

    def _perform(
        self, run: TrainingRun, action: Start | Describe
    ) -> lifecycle.Started | Seen | Problem:
        try:
            if isinstance(action, Start):
                return self._image_set_problem(run) or self._start(run, action.attempt)
            return self._describe(run, action.execution_arn)
        except IsocenterError as error:
            # A description that is refused says nothing about the execution.
            final = isinstance(action, Start) and problems.final(error)
            return Problem(problems.reason(error), str(error), final=final)

    def _image_set_problem(self, run: TrainingRun) -> Problem | None:
        if len(run.spec.image_sets) > self._image_set_checks:
            return None
        for ref in run.spec.image_sets:
            version = f" version {ref.version_id}" if ref.version_id else ""
            what = f"image set {ref.id}{version} of data store {run.spec.datastore_id}"
            try:
                found = self._healthimaging.image_set(
                    run.spec.datastore_id, ref.id, ref.version_id
                )
            except NotFoundError:
                return _no_image_set(what)
            if found.state == "DELETED":
                return _no_image_set(what)
            if not found.readable:
                return Problem(
                    Reason.IMAGE_SET_NOT_ACTIVE,
                    f"{what} is {found.state}: waiting for ACTIVE",
                )
        return None

    def _start(self, run: TrainingRun, attempt: int) -> lifecycle.Started | Problem:
        name = run.spec.pipeline.name
        try:
            shape = self._executions.pipeline(name)
        except NotFoundError:
            return _no_pipeline(name)
        request_uri = self._executions.write_request(run, attempt)
        try:
            arn = self._executions.start(run, attempt, shape, request_uri)
        except NotFoundError:
            return _no_pipeline(name)
        metrics.EXECUTIONS_STARTED.inc()
        return lifecycle.Started(arn, shape.steps)

    def _describe(self, run: TrainingRun, arn: str) -> Seen | Problem:
        try:
            execution = self._executions.execution(arn)
        except NotFoundError:
            return Problem(
                Reason.EXECUTION_NOT_FOUND,
                f"{arn} does not exist any more: its result can't be known",
                final=True,
            )
        steps = self._executions.steps(arn)
        before = {step.name: step.status for step in run.status.steps}
        fresh = [
            step
            for step in steps
            if step.status == "Succeeded" and before.get(step.name) != "Succeeded"
        ]
        return Seen(execution, steps, self._artifacts(fresh))

    def _artifacts(self, steps: list[StepState]) -> Artifacts:
        """What newly succeeded steps wrote; what may not be read is left out."""
        known = Artifacts()
        for step in steps:
            if step.job_arn is None:
                continue
            try:
                wrote = self._executions.artifacts(step.job_arn)
            except (DeniedError, NotFoundError) as error:
                log.warning(
                    "the results of a step are not known", extra={"error": str(error)}
                )
                continue
            known = Artifacts(
                dataset_s3_uri=wrote.dataset_s3_uri or known.dataset_s3_uri,
                model_s3_uri=wrote.model_s3_uri or known.model_s3_uri,
                metrics=wrote.metrics or known.metrics,
            )
        return known


def _no_image_set(what: str) -> Problem:
    return Problem(
        Reason.IMAGE_SET_NOT_FOUND,
        f"{what} does not exist: create a TrainingRun with image sets that do",
        final=True,
    )


def _no_pipeline(name: str) -> Problem:
    return Problem(
        Reason.PIPELINE_NOT_FOUND,
        f"pipeline {name} does not exist in the operator's account and region: create "
        "it (isocenter-pipeline upsert), or name one that exists, in a new TrainingRun",
        final=True,
    )


def _next(terminal: bool, acted: bool, observed: object) -> Next:
    if terminal or not acted:
        return Next.SETTLED
    return Next.BACK_OFF if isinstance(observed, Problem) else Next.POLL
