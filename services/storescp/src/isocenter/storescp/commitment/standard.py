"""Storage Commitment's numbers, and what each of them tells the peer. Pure.

Sources: PS3.4 J.3.2 and J.3.3 (N-ACTION and N-EVENT-REPORT), PS3.3 C.14.1.1 (Failure
Reason), PS3.7 10.1.4.1.10 and annex C (statuses). The conformance statement is made
from these tables.
"""

from enum import IntEnum

from isocenter.core.errors import IsocenterError

SOP_CLASS = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""
SOP_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Its well-known instance, the only one there is (PS3.4 J.3.5)."""
REQUEST_ACTION = 1
"""Action Type ID "Request Storage Commitment" (PS3.4 table J.3-1)."""
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Type IDs of the report (PS3.4 table J.3-2)."""

MAX_REFERENCES = 10_000
"""Instances in one request."""
MAX_INFORMATION_BYTES = 4 * 1024 * 1024
"""Bytes of one request's data set."""


class ActionStatus(IntEnum):
    """Status (0000,0900) of an N-ACTION response."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_SOP_CLASS = 0x0118
    NO_SUCH_ACTION = 0x0123
    RESOURCE_LIMITATION = 0x0213


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an item of Failed SOP Sequence."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    DUPLICATE_TRANSACTION_UID = 0x0131


ACTION_MEANING: dict[ActionStatus, str] = {
    ActionStatus.SUCCESS: "The request is on the durable volume; a report follows.",
    ActionStatus.PROCESSING_FAILURE: "The volume could not take the request. Send it "
    "again.",
    ActionStatus.NO_SUCH_SOP_INSTANCE: "Requested SOP Instance UID (0000,1001) is not "
    f"the well-known {SOP_INSTANCE}.",
    ActionStatus.INVALID_ARGUMENT_VALUE: "No data set, one that can't be parsed, or "
    "one whose Transaction UID, Referenced SOP Sequence or a reference in it is "
    "missing or not a UID.",
    ActionStatus.NO_SUCH_SOP_CLASS: "Requested SOP Class UID (0000,0003) is not that "
    "of the Push Model.",
    ActionStatus.NO_SUCH_ACTION: "Action Type ID (0000,1008) is not 1.",
    ActionStatus.RESOURCE_LIMITATION: f"More than {MAX_REFERENCES} references or "
    f"{MAX_INFORMATION_BYTES // 1024 // 1024} MiB in one request, or too many requests "
    "undecided. Ask for less, or again later.",
}
FAILURE_MEANING: dict[FailureReason, str] = {
    FailureReason.PROCESSING_FAILURE: "The instance is not safe where it is to be: "
    "within `commitment_wait_s` it did not reach S3 or S3 could not be asked, there "
    "are more manifests than are searched for an instance that nobody knows, the "
    "object there has other bytes than those acknowledged, the version acknowledged "
    "last went to quarantine, or (setting `commitment` is "
    "`imported`) HealthImaging did not import it.",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "Neither acknowledged here nor named by the "
    "manifest of a recent batch within `commitment_unknown_wait_s`, or removed from S3 "
    "since.",
    FailureReason.CLASS_INSTANCE_CONFLICT: "The instance is of another SOP class.",
    FailureReason.DUPLICATE_TRANSACTION_UID: "The AE title used this Transaction UID "
    "for other instances before.",
}


class ActionRefusedError(IsocenterError):
    """A request is not taken; nothing of it is kept.

    Attributes:
        status: of the N-ACTION response.
    """

    def __init__(self, status: ActionStatus, comment: str) -> None:
        super().__init__(comment)
        self.status = status
