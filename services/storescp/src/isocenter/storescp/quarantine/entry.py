"""Why an instance is in quarantine, as one table and one document. Pure.

The document lies beside the bytes and is read by people and programs who may not see
a patient: it carries no attribute of the data set but UIDs, and those only if they
are UIDs.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.validation import faults


class Reason(StrEnum):
    """Machine-readable; part of the object's key."""

    NOT_UNDERSTOOD = "not-understood"
    MISMATCH = "mismatch"
    BAD_UID = "bad-uid"
    REFUSED = "refused-by-store"
    DAMAGED = "damaged"


MEANING: dict[Reason, str] = {
    Reason.NOT_UNDERSTOOD: "The data set can't be parsed up to its UIDs in its "
    "transfer syntax, or one of these is missing. The sender was refused with C000.",
    Reason.MISMATCH: "SOP Class or SOP Instance UID of the data set differs from the "
    "request's. The sender was refused with A900.",
    Reason.BAD_UID: "The request's Affected SOP Instance UID is no UID. The sender was "
    "refused with 0117.",
    Reason.REFUSED: "S3 refused the object for good, again and again. The sender was "
    "told success: this is the only copy that isocenter has.",
    Reason.DAMAGED: "The volume gave back other bytes than were received. The sender "
    "was told success: have it sent again.",
}
"""The table of the documentation."""
ACKNOWLEDGED = frozenset({Reason.REFUSED, Reason.DAMAGED})
"""Reasons of instances whose senders were told success."""


class QuarantineEntry(BaseModel):
    """The document beside the bytes, ``<sha256>.json``; only what is read of it."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    schema_version: Literal[1] = Field(alias="schema")
    reason: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(alias="bytes", ge=0)
    quarantined_at: datetime
    peer: str = ""
    calling_ae: str = Field(default="", alias="callingAE")
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    batch: str = ""
    error_code: str = ""


def parse_entry(body: bytes, *, source: str) -> QuarantineEntry:
    """Read a document.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return QuarantineEntry.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(
            f"{source} is no quarantine record of schema 1: {faults(error)}"
        ) from None
