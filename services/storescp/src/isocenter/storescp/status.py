"""What a C-STORE response says, as one table.

Codes and their meanings are of PS3.4 B.2.3 (Table B.2-1) and PS3.7 9.1.1.1.9
and C.5. Only ``SUCCESS`` promises anything: that the instance survives the death of
this process.
"""

import errno
from dataclasses import dataclass
from enum import IntEnum

from isocenter.core.errors import IsocenterError, MalformedError

MAX_COMMENT = 64
"""Characters of Error Comment (0000,0902), value representation LO."""


class StoreStatus(IntEnum):
    """Status (0000,0900) of a C-STORE response."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    INVALID_SOP_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


MEANING: dict[StoreStatus, str] = {
    StoreStatus.SUCCESS: "The instance is on the durable volume, or was already.",
    StoreStatus.PROCESSING_FAILURE: "An unforeseen failure; nothing was kept. The log "
    "has it. Send again.",
    StoreStatus.INVALID_SOP_INSTANCE: "Affected SOP Instance UID (0000,1000) is not a "
    "UID.",
    StoreStatus.SOP_CLASS_NOT_SUPPORTED: "Affected SOP Class UID (0000,0002) is not "
    "the abstract syntax of the presentation context. Nothing was kept.",
    StoreStatus.OUT_OF_RESOURCES: "The volume is full, or as full as it may get. Send "
    "again later.",
    StoreStatus.DATA_SET_MISMATCH: "SOP Class UID or SOP Instance UID of the data set "
    "differs from the request's.",
    StoreStatus.CANNOT_UNDERSTAND: "No data set, one that can't be parsed, or one "
    "without a usable SOP Class, SOP Instance, Study Instance or Series Instance UID.",
}
"""What each status tells the sender; the conformance statement is made from it."""


class StoreRefusedError(IsocenterError):
    """An instance is not taken; the sender is told why.

    Attributes:
        status: the response's status.
        offending: tag of the element at fault, for Offending Element (0000,0901).
    """

    def __init__(
        self, status: StoreStatus, comment: str, *, offending: int | None = None
    ) -> None:
        super().__init__(comment)
        self.status = status
        self.offending = offending


@dataclass(frozen=True)
class Refusal:
    """Status, comment (at most 64 characters) and offending tag of a response."""

    status: StoreStatus
    comment: str
    offending: int | None = None


_BY_ERRNO = {
    errno.ENOSPC: "the spool volume is full",
    errno.EDQUOT: "the spool volume's quota is used up",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}


def refusal(error: Exception) -> Refusal:
    """The response for an instance that could not be kept.

    Anything that is not foreseen is a processing failure: the sender keeps the
    instance and tries again. Texts of unforeseen errors are not sent: they could
    quote the data set.
    """
    if isinstance(error, StoreRefusedError):
        return Refusal(error.status, str(error)[:MAX_COMMENT], error.offending)
    if isinstance(error, MalformedError):
        return Refusal(StoreStatus.CANNOT_UNDERSTAND, str(error)[:MAX_COMMENT])
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return Refusal(StoreStatus.OUT_OF_RESOURCES, _BY_ERRNO[error.errno])
    return Refusal(StoreStatus.PROCESSING_FAILURE, "internal error, not stored")
