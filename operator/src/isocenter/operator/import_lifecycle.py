"""The life of a DICOMImportJob: what follows from what was seen. Pure.

The counterpart of ``lifecycle`` for imports. COMPLETED of HealthImaging does not
mean that every file was imported: the job's output manifest tells, and may be
there only a while after the job has ended.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from isocenter.core.healthimaging.answers import ImportJob
from isocenter.core.healthimaging.import_output import ImportSummary
from isocenter.operator import reasons
from isocenter.operator.conditions import ConditionStatus, with_condition
from isocenter.operator.reasons import Reason
from isocenter.operator.resources import DICOMImportJobStatus, ImportedImageSet
from isocenter.operator.resources.dicom_import_job import ImportPhase

COMPLETED = reasons.COMPLETED.type
ALL_IMPORTED = reasons.ALL_INSTANCES_IMPORTED.type

_PHASES: dict[str, ImportPhase] = {
    "SUBMITTED": "Submitted",
    "IN_PROGRESS": "InProgress",
}


@dataclass(frozen=True)
class Submit:
    """Check the input and start the import job."""


@dataclass(frozen=True)
class Watch:
    """Read the job and, once it has completed, its output manifest."""

    job_id: str


Action = Submit | Watch | None


@dataclass(frozen=True)
class Submitted:
    """HealthImaging accepted the job."""

    job_id: str


@dataclass(frozen=True)
class Seen:
    """The job as it is now.

    ``summary`` is None while there is no manifest; ``malformed`` says why one that
    is there can't be read.
    """

    job: ImportJob
    summary: ImportSummary | None = None
    malformed: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something stood in the way of the action; ``final`` ends the import."""

    reason: Reason
    message: str
    final: bool = False


Observation = Submitted | Seen | Problem | None


@dataclass(frozen=True)
class Decision:
    """The status to store, and what to do next."""

    status: DICOMImportJobStatus
    action: Action


def decide(
    status: DICOMImportJobStatus,
    observed: Observation,
    *,
    generation: int,
    at: datetime,
    output_wait: timedelta,
) -> Decision:
    """The next status and action.

    ``generation`` is the resource's ``metadata.generation``; ``output_wait`` is how
    long after the end of a job its output manifest is waited for.
    """
    if status.terminal:
        return Decision(status, None)
    status = status.model_copy(update={"observed_generation": generation})
    match observed:
        case Submitted():
            status = _with(
                status,
                {
                    "phase": "Submitted",
                    "job_id": observed.job_id,
                    "start_time": at,
                    "message": "the import job was accepted",
                },
                (COMPLETED, "Unknown", Reason.IN_PROGRESS, ""),
                at,
            )
        case Seen():
            status = _seen(status, observed, at, output_wait)
        case Problem():
            status = _hindered(status, observed, at)
        case None if status.phase is None:
            status = _with(
                status,
                {"phase": "Pending", "message": "about to be submitted"},
                (COMPLETED, "Unknown", Reason.PENDING, ""),
                at,
            )
        case None:
            pass
    return Decision(status, _action(status))


def _action(status: DICOMImportJobStatus) -> Action:
    if status.terminal:
        return None
    return Watch(status.job_id) if status.job_id else Submit()


def _seen(
    status: DICOMImportJobStatus, seen: Seen, at: datetime, output_wait: timedelta
) -> DICOMImportJobStatus:
    job = seen.job
    if job.status == "FAILED":
        message = job.message or "HealthImaging gave no reason"
        return _with(
            status,
            {"phase": "Failed", "completion_time": at, "message": message},
            (COMPLETED, "False", Reason.IMPORT_JOB_FAILED, message),
            at,
        )
    if job.status != "COMPLETED":
        known = job.status in _PHASES
        return _with(
            status,
            {
                "phase": _PHASES.get(job.status, status.phase),
                "message": (
                    "the import job is under way"
                    if known
                    else f"status {job.status!r} is not known to this version"
                ),
            },
            (
                COMPLETED,
                "Unknown",
                Reason.IN_PROGRESS if known else Reason.STATUS_NOT_KNOWN,
                "",
            ),
            at,
        )
    ended = status.completion_time or at
    update = {"completion_time": ended, "output_s3_uri": job.output_s3_uri}
    if seen.summary is not None:
        return _summarised(status.model_copy(update=update), seen.summary, at)
    message = seen.malformed or f"{job.output_s3_uri} has no job-output-manifest.json"
    if not seen.malformed and at - ended < output_wait:
        return _with(
            status,
            update | {"phase": "InProgress", "message": f"{message} yet"},
            (COMPLETED, "Unknown", Reason.AWAITING_OUTPUT, message),
            at,
        )
    status = _with(
        status,
        update | {"phase": "Completed", "message": message},
        (COMPLETED, "True", Reason.IMPORT_JOB_COMPLETED, ""),
        at,
    )
    reason = Reason.OUTPUT_MALFORMED if seen.malformed else Reason.OUTPUT_MISSING
    return _with(status, {}, (ALL_IMPORTED, "Unknown", reason, message), at)


def _summarised(
    status: DICOMImportJobStatus, summary: ImportSummary, at: datetime
) -> DICOMImportJobStatus:
    scanned = summary.number_of_scanned_files
    imported = summary.number_of_imported_files
    failed = (
        summary.number_of_files_with_customer_error
        + summary.number_of_files_with_server_error
    )
    verdict: ConditionStatus = "True"
    reason = Reason.ALL_IMPORTED
    message = f"{imported} of {scanned} files were imported"
    if imported == 0 or failed or imported < scanned:
        verdict = "False"
        reason = Reason.SOME_FILES_FAILED if imported else Reason.NOTHING_IMPORTED
        where = summary.failure_output_s3_uri or summary.output_s3_uri
        message += (
            f", {failed} failed "
            f"({summary.number_of_files_with_customer_error} for what is in the file, "
            f"{summary.number_of_files_with_server_error} for an error of the "
            f"service): each is named with its error in {where}"
        )
    status = _with(
        status,
        {
            "phase": "Completed",
            "scanned": scanned,
            "imported": imported,
            "failed": failed,
            "image_sets": tuple(
                ImportedImageSet(
                    id=made.image_set_id,
                    version_id=(
                        None
                        if made.image_set_version is None
                        else str(made.image_set_version)
                    ),
                    is_primary=made.is_primary,
                )
                for made in summary.image_sets_summary
            ),
            "message": message,
        },
        (COMPLETED, "True", Reason.IMPORT_JOB_COMPLETED, ""),
        at,
    )
    return _with(status, {}, (ALL_IMPORTED, verdict, reason, message), at)


def _hindered(
    status: DICOMImportJobStatus, problem: Problem, at: datetime
) -> DICOMImportJobStatus:
    update: dict[str, object] = {
        "phase": status.phase or "Pending",
        "message": problem.message,
    }
    if problem.final:
        update |= {"phase": "Failed", "completion_time": at}
    verdict: ConditionStatus = "False" if problem.final else "Unknown"
    return _with(
        status, update, (COMPLETED, verdict, problem.reason, problem.message), at
    )


def _with(
    status: DICOMImportJobStatus,
    update: dict[str, object],
    new: tuple[str, ConditionStatus, Reason, str],
    at: datetime,
) -> DICOMImportJobStatus:
    kind, verdict, reason, message = new
    conditions = with_condition(
        status.conditions,
        kind=kind,
        status=verdict,
        reason=reason,
        message=message,
        generation=status.observed_generation,
        at=at,
    )
    return status.model_copy(update={**update, "conditions": conditions})
