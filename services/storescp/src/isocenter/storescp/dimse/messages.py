"""The command sets that this SCP sends (PS3.7 9.3, 10.3). Pure."""

from enum import IntEnum

from isocenter.storescp.dimse.command import (
    NO_DATA_SET,
    CommandField,
    CommandSet,
    Element,
    encode,
    number,
    tag,
    text,
    uid,
)
from isocenter.storescp.dimse.service import EventReport

_HAS_DATA_SET = 0x0001
_MAX_UID = 64


class GeneralStatus(IntEnum):
    """Status of responses beside the Storage service's own (PS3.7 C)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213


def response(
    request: CommandSet,
    status: int,
    *,
    comment: str = "",
    offending: int | None = None,
) -> bytes:
    """The response, without data set, to any request.

    UIDs of the request are repeated as they came, but for what can't be a UID by its
    length.

    Raises:
        MalformedError: the request has no Command Field or Message ID.
    """
    field = request.required(Element.COMMAND_FIELD)
    sop_class = request.uid(Element.AFFECTED_SOP_CLASS) or request.uid(
        Element.REQUESTED_SOP_CLASS
    )
    instance = request.uid(Element.AFFECTED_SOP_INSTANCE) or request.uid(
        Element.REQUESTED_SOP_INSTANCE
    )
    elements = [
        number(Element.COMMAND_FIELD, field | 0x8000),
        number(Element.RESPONDED_TO, request.required(Element.MESSAGE_ID)),
        number(Element.DATA_SET_TYPE, NO_DATA_SET),
        number(Element.STATUS, status),
    ]
    if 0 < len(sop_class) <= _MAX_UID:
        elements.insert(0, uid(Element.AFFECTED_SOP_CLASS, sop_class))
    if offending is not None:
        elements.append(tag(Element.OFFENDING_ELEMENT, offending))
    if comment:
        elements.append(text(Element.ERROR_COMMENT, comment))
    if 0 < len(instance) <= _MAX_UID:
        elements.append(uid(Element.AFFECTED_SOP_INSTANCE, instance))
    if field == CommandField.N_ACTION and Element.ACTION_TYPE in request.elements:
        elements.append(
            number(Element.ACTION_TYPE, request.required(Element.ACTION_TYPE))
        )
    return encode(elements)


def event_report(report: EventReport, message_id: int) -> bytes:
    """The command set of an N-EVENT-REPORT request; its data set follows."""
    return encode(
        [
            uid(Element.AFFECTED_SOP_CLASS, report.sop_class_uid),
            number(Element.COMMAND_FIELD, CommandField.N_EVENT_REPORT),
            number(Element.MESSAGE_ID, message_id),
            number(Element.DATA_SET_TYPE, _HAS_DATA_SET),
            uid(Element.AFFECTED_SOP_INSTANCE, report.sop_instance_uid),
            number(Element.EVENT_TYPE, report.event_type_id),
        ]
    )
