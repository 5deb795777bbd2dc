"""Every reason a condition can have, and what each means. Pure.

A reason is part of the interface: people and tools compare it. docs/reference and
docs/troubleshooting are made from ``MEANINGS``.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """One word for a condition's last change."""

    # What the spec asks for.
    SUSPENDED = "Suspended"
    WATCHING = "Watching"
    INVALID_SPEC = "InvalidSpec"
    # On the way.
    PENDING = "Pending"
    STARTING = "Starting"
    EXECUTION_STARTED = "ExecutionStarted"
    IN_PROGRESS = "InProgress"
    STATUS_NOT_KNOWN = "StatusNotKnown"
    AWAITING_OUTPUT = "AwaitingOutput"
    # What it came to.
    EXECUTION_SUCCEEDED = "ExecutionSucceeded"
    EXECUTION_STOPPED = "ExecutionStopped"
    EXECUTION_FAILED = "ExecutionFailed"
    COMPLETED_WITH_FAILURES = "CompletedWithFailures"
    IMPORT_JOB_COMPLETED = "ImportJobCompleted"
    IMPORT_JOB_FAILED = "ImportJobFailed"
    ALL_IMPORTED = "AllImported"
    SOME_FILES_FAILED = "SomeFilesFailed"
    NOTHING_IMPORTED = "NothingImported"
    OUTPUT_MALFORMED = "OutputMalformed"
    OUTPUT_MISSING = "OutputMissing"
    # What is asked for isn't there.
    IMAGE_SET_NOT_FOUND = "ImageSetNotFound"
    IMAGE_SET_NOT_ACTIVE = "ImageSetNotActive"
    PIPELINE_NOT_FOUND = "PipelineNotFound"
    EXECUTION_NOT_FOUND = "ExecutionNotFound"
    ROLE_MISSING = "RoleMissing"
    BUCKET_NOT_FOUND = "BucketNotFound"
    INPUT_NOT_FOUND = "InputNotFound"
    MANIFEST_NOT_FOUND = "ManifestNotFound"
    DATASTORE_NOT_FOUND = "DatastoreNotFound"
    IMPORT_JOB_NOT_FOUND = "ImportJobNotFound"
    # An AWS call did not succeed.
    ACCESS_DENIED = "AccessDenied"
    THROTTLED = "Throttled"
    QUOTA_EXCEEDED = "QuotaExceeded"
    AWS_UNAVAILABLE = "AwsUnavailable"
    NOT_FOUND = "NotFound"
    REQUEST_REFUSED = "RequestRefused"
    MALFORMED = "Malformed"
    ERROR = "Error"


class ConditionRef(NamedTuple):
    """A condition of a kind of resource."""

    kind: str
    type: str


STARTED = ConditionRef("TrainingRun", "Started")
SUCCEEDED = ConditionRef("TrainingRun", "Succeeded")
COMPLETED = ConditionRef("DICOMImportJob", "Completed")
ALL_INSTANCES_IMPORTED = ConditionRef("DICOMImportJob", "AllInstancesImported")
ACTIVE = ConditionRef("TrainingTrigger", "Active")

ABOUT: Mapping[ConditionRef, str] = {
    STARTED: "True once SageMaker has accepted the execution.",
    SUCCEEDED: "Unknown while the execution runs, then how it ended.",
    COMPLETED: "Unknown until HealthImaging's import job has ended, then how.",
    ALL_INSTANCES_IMPORTED: "Set when the import job completed: whether every file "
    "became part of an image set. HealthImaging completes jobs whose files failed.",
    ACTIVE: "Whether image sets start runs by this trigger.",
}
"""What each condition says."""

_INVALID = (
    "The spec is not understood by this version of the operator: the definition in "
    "the cluster is of another version. The message names the field."
)
_CALLS: Mapping[Reason, str] = {
    Reason.ACCESS_DENIED: "The operator's role may not make a call; the message "
    "names it. Tried again with back-off: grant the action and it goes on.",
    Reason.THROTTLED: "AWS throttled a call, or the thing is locked or in conflict. "
    "Tried again with back-off.",
    Reason.QUOTA_EXCEEDED: "A quota of the account is used up. Tried again with "
    "back-off: it goes on when there is room, or the quota is raised.",
    Reason.AWS_UNAVAILABLE: "AWS did not answer, or with a server error. Tried "
    "again with back-off.",
    Reason.NOT_FOUND: "Something that a call needs is not there; the message names "
    "it. Tried again with back-off: make it and it goes on.",
    Reason.REQUEST_REFUSED: "AWS refused the request itself; the message has its "
    "words. Final before the start: correct it in a new resource.",
    Reason.MALFORMED: "An answer or object could not be read as what it should be; "
    "the message names it. Tried again with back-off.",
    Reason.ERROR: "A failure without a reason of its own; see the message and the "
    "operator's log. Tried again with back-off.",
}

MEANINGS: Mapping[ConditionRef, Mapping[Reason, str]] = {
    STARTED: {
        Reason.SUSPENDED: "Not started while spec.suspend is true.",
        Reason.STARTING: "About to be started.",
        Reason.EXECUTION_STARTED: "The message is the execution's ARN.",
        Reason.IMAGE_SET_NOT_FOUND: "An image set, or the version asked for, does "
        "not exist. Final: create a run with image sets that do.",
        Reason.IMAGE_SET_NOT_ACTIVE: "HealthImaging is still working on an image "
        "set. Waits for it to be ACTIVE.",
        Reason.PIPELINE_NOT_FOUND: "There is no pipeline of that name in the "
        "operator's account and region. Final: create it, then a new run.",
        Reason.INVALID_SPEC: _INVALID,
        **_CALLS,
    },
    SUCCEEDED: {
        Reason.IN_PROGRESS: "The execution runs; the message says which step.",
        Reason.STATUS_NOT_KNOWN: "SageMaker answers a status that this version does "
        "not know. Watched on.",
        Reason.EXECUTION_SUCCEEDED: "Every step succeeded.",
        Reason.EXECUTION_STOPPED: "Somebody stopped the execution.",
        Reason.EXECUTION_FAILED: "A step failed; the message has its reason.",
        Reason.COMPLETED_WITH_FAILURES: "The execution went on although a step "
        "failed: there is no result to trust.",
        Reason.EXECUTION_NOT_FOUND: "The execution does not exist any more, so its "
        "result can't be known. Final.",
        Reason.IMAGE_SET_NOT_FOUND: "Never started: see Started.",
        Reason.PIPELINE_NOT_FOUND: "Never started: see Started.",
        **_CALLS,
    },
    COMPLETED: {
        Reason.PENDING: "About to be submitted.",
        Reason.IN_PROGRESS: "The import job was accepted or runs.",
        Reason.STATUS_NOT_KNOWN: "HealthImaging answers a status that this version "
        "does not know. Watched on.",
        Reason.AWAITING_OUTPUT: "The job completed, but its output manifest is not "
        "in S3 yet.",
        Reason.IMPORT_JOB_COMPLETED: "The import job completed.",
        Reason.IMPORT_JOB_FAILED: "The import job failed as a whole; the message is "
        "HealthImaging's.",
        Reason.ROLE_MISSING: "There is no data access role. Set the operator's "
        "import_role_arn (platform.import_role_arn), or spec.dataAccessRoleArn in a "
        "new DICOMImportJob.",
        Reason.BUCKET_NOT_FOUND: "The bucket of spec.inputS3Uri does not exist. Final.",
        Reason.INPUT_NOT_FOUND: "No object lies under spec.inputS3Uri. Final: upload "
        "the files, then create a new DICOMImportJob.",
        Reason.MANIFEST_NOT_FOUND: "The object spec.manifestKey does not exist. Final.",
        Reason.DATASTORE_NOT_FOUND: "The data store does not exist in this account "
        "and region. Final.",
        Reason.IMPORT_JOB_NOT_FOUND: "The job is not there any more: HealthImaging "
        "keeps jobs for 90 days. Final.",
        Reason.INVALID_SPEC: _INVALID,
        **_CALLS,
    },
    ALL_INSTANCES_IMPORTED: {
        Reason.ALL_IMPORTED: "Every file was imported.",
        Reason.SOME_FILES_FAILED: "Some files were not imported; each is named with "
        "its error in the failure folder that the message names.",
        Reason.NOTHING_IMPORTED: "Not one file was imported; see the failure folder "
        "that the message names.",
        Reason.OUTPUT_MALFORMED: "The job's output manifest is there but can't be "
        "read, so nothing is known of single files.",
        Reason.OUTPUT_MISSING: "The job's output manifest did not come within the "
        "operator's import_output_wait_s: check that the data access role may write "
        "to spec.outputS3Uri.",
    },
    ACTIVE: {
        Reason.WATCHING: "Image sets that match start TrainingRuns.",
        Reason.SUSPENDED: "No runs are made while spec.suspend is true.",
        Reason.INVALID_SPEC: _INVALID,
    },
}
"""The reasons of each condition, in the order of its life."""
