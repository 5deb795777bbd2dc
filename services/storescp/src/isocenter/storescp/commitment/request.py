"""From an N-ACTION's bytes to the instances it asks about. Pure.

Only two attributes are looked at, and as bytes: nothing that the peer wrote beside
them is decoded (PS3.4 table J.3-1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from isocenter.storescp.commitment.references import (
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    BrokenError,
    wanted,
)
from isocenter.storescp.commitment.standard import (
    MAX_INFORMATION_BYTES,
    REQUEST_ACTION,
    SOP_CLASS,
    SOP_INSTANCE,
    ActionRefusedError,
    ActionStatus,
)
from isocenter.storescp.dimse.service import ActionRequest
from isocenter.storescp.identify import is_uid

_IMPLICIT = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance whose storage is to be committed."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequest:
    """What an N-ACTION asks for; each instance once, in the order of the request."""

    transaction_uid: str
    references: tuple[Reference, ...]


def parse(request: ActionRequest) -> CommitmentRequest:
    """Read and check a request.

    Raises:
        ActionRefusedError: it is not one that can be answered by a report.
    """
    for status, holds, comment in (
        (
            ActionStatus.NO_SUCH_SOP_CLASS,
            request.sop_class_uid == SOP_CLASS,
            "not the Storage Commitment Push Model SOP class",
        ),
        (
            ActionStatus.NO_SUCH_SOP_INSTANCE,
            request.sop_instance_uid == SOP_INSTANCE,
            "not the well-known SOP instance",
        ),
        (
            ActionStatus.NO_SUCH_ACTION,
            request.action_type_id == REQUEST_ACTION,
            "Action Type ID (0000,1008) is not 1",
        ),
        (
            ActionStatus.RESOURCE_LIMITATION,
            len(request.information) <= MAX_INFORMATION_BYTES,
            "data set longer than 4 MiB",
        ),
    ):
        if not holds:
            raise ActionRefusedError(status, comment)
    return _information(request.information, request.transfer_syntax_uid)


def _information(content: bytes, transfer_syntax_uid: str) -> CommitmentRequest:
    try:
        found = wanted(content, explicit=transfer_syntax_uid != _IMPLICIT)
    except BrokenError as error:
        raise _invalid("the data set can't be parsed") from error
    transaction_uid = _uid(found.transaction_uid, "Transaction UID (0008,1195)")
    if not found.items:
        raise _invalid("Referenced SOP Sequence (0008,1199) is missing or empty")
    references = dict.fromkeys(_reference(item) for item in found.items)
    if len({r.sop_instance_uid for r in references}) != len(references):
        raise _invalid("an instance is referenced as two SOP classes")
    return CommitmentRequest(transaction_uid, tuple(references))


def _invalid(comment: str) -> ActionRefusedError:
    return ActionRefusedError(ActionStatus.INVALID_ARGUMENT_VALUE, comment)


def _reference(item: Mapping[int, bytes]) -> Reference:
    return Reference(
        _uid(
            item.get(REFERENCED_SOP_CLASS_UID), "Referenced SOP Class UID (0008,1150)"
        ),
        _uid(
            item.get(REFERENCED_SOP_INSTANCE_UID),
            "Referenced SOP Instance UID (0008,1155)",
        ),
    )


def _uid(value: bytes | None, name: str) -> str:
    if value is None:
        raise _invalid(f"{name} is missing")
    text = value.decode("ascii", "replace").strip("\0 ")
    if not is_uid(text):
        raise _invalid(f"{name} is not a UID")
    return text
