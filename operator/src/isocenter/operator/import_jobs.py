"""Reconciles DICOMImportJobs: decides by ``import_lifecycle``, acts by ``imports``."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from isocenter.core.errors import IsocenterError, MalformedError, NotFoundError
from isocenter.operator import import_lifecycle, metrics, problems
from isocenter.operator.import_lifecycle import Problem, Seen, Submit, Submitted, Watch
from isocenter.operator.imports import Imports, output_folder
from isocenter.operator.reasons import Reason
from isocenter.operator.reconciling import Next, Result, invalid_spec
from isocenter.operator.resources import DICOMImportJob, merge_patch


class ImportJobs:
    """The reconciler of DICOMImportJobs.

    Args:
        output_wait: how long the output manifest of a completed job may be missing.
    """

    def __init__(self, imports: Imports, *, output_wait: timedelta) -> None:
        self._imports = imports
        self._output_wait = output_wait

    def reconcile(self, body: Mapping[str, Any], at: datetime) -> Result:
        """One look: at most one submission or one description."""
        try:
            job = DICOMImportJob.model_validate(body)
        except ValidationError as error:
            return invalid_spec(body, import_lifecycle.COMPLETED, error, at)
        first = self._decide(job, job.status, None, at)
        status, observed = first.status, None
        if first.action is not None:
            observed = self._perform(job, first.action)
            status = self._decide(job, first.status, observed, at).status
        after = Next.POLL
        if status.terminal:
            after = Next.SETTLED
        elif isinstance(observed, Problem):
            after = Next.BACK_OFF
        return Result(merge_patch(job.status, status), after, status.phase)

    def _decide(
        self,
        job: DICOMImportJob,
        status: Any,
        observed: import_lifecycle.Observation,
        at: datetime,
    ) -> import_lifecycle.Decision:
        return import_lifecycle.decide(
            status,
            observed,
            generation=job.metadata.generation,
            at=at,
            output_wait=self._output_wait,
        )

    def _perform(
        self, job: DICOMImportJob, action: Submit | Watch
    ) -> Submitted | Seen | Problem:
        try:
            if isinstance(action, Submit):
                return self._submit(job)
            return self._watch(job, action.job_id)
        except IsocenterError as error:
            final = isinstance(action, Submit) and problems.final(error)
            return Problem(problems.reason(error), str(error), final=final)

    def _submit(self, job: DICOMImportJob) -> Submitted | Problem:
        spec = job.spec
        role_arn = self._imports.role(job)
        if role_arn is None:
            return Problem(
                Reason.ROLE_MISSING,
                "no data access role: set spec.dataAccessRoleArn in a new "
                "DICOMImportJob, or the operator's import_role_arn",
            )
        try:
            has_input = self._imports.has_input(job)
        except NotFoundError:
            return _missing(
                Reason.BUCKET_NOT_FOUND, f"the bucket of {spec.input_s3_uri}"
            )
        if not has_input:
            return Problem(
                Reason.INPUT_NOT_FOUND,
                f"there is no object under {spec.input_s3_uri}: upload the files, "
                "then create a new DICOMImportJob",
                final=True,
            )
        try:
            token = self._imports.token(job)
        except NotFoundError:
            return _missing(Reason.MANIFEST_NOT_FOUND, f"manifest {spec.manifest_key}")
        try:
            job_id = self._imports.submit(job, token=token, role_arn=role_arn)
        except NotFoundError:
            return _missing(
                Reason.DATASTORE_NOT_FOUND, f"data store {spec.datastore_id}"
            )
        metrics.IMPORTS_SUBMITTED.inc()
        return Submitted(job_id)

    def _watch(self, job: DICOMImportJob, job_id: str) -> Seen | Problem:
        try:
            seen = self._imports.job(job, job_id)
        except NotFoundError:
            return _missing(
                Reason.IMPORT_JOB_NOT_FOUND, f"import job {job_id} (kept for 90 days)"
            )
        if seen.status != "COMPLETED":
            return Seen(seen)
        folder = output_folder(seen, job.spec.datastore_id)
        seen = replace(seen, output_s3_uri=folder)
        try:
            return Seen(seen, self._imports.summary(folder))
        except MalformedError as error:
            return Seen(seen, malformed=str(error))


def _missing(reason: Reason, what: str) -> Problem:
    return Problem(
        reason,
        f"{what} does not exist: correct it in a new DICOMImportJob",
        final=True,
    )
