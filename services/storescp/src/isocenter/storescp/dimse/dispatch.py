"""Which service answers a command set, and what becomes of the data set after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from isocenter.core.errors import MalformedError
from isocenter.storescp import metrics
from isocenter.storescp.association.abstract_syntax import Service, service_of
from isocenter.storescp.association.negotiation import AcceptedContext, Peer
from isocenter.storescp.dimse.command import CommandField, CommandSet, Element
from isocenter.storescp.dimse.messages import GeneralStatus, response
from isocenter.storescp.dimse.service import (
    ActionRequest,
    ActionResponse,
    ActionService,
    AssociationHandle,
    Sink,
    StoreCommand,
    StoreService,
)
from isocenter.storescp.dimse.storing import Storing, loggable
from isocenter.storescp.dimse.telling import Telling
from isocenter.storescp.status import StoreRefusedError, StoreStatus

MAX_INFORMATION_BYTES = 4 * 1024 * 1024
"""Largest Action Information held in memory: some 20,000 references. Of a larger one
the service gets so much and a byte, so that it sees that."""
_RESPONSE = 0x8000

Answer = Callable[[bytes], None]


class Message(Protocol):
    """A message whose command set has come, and whose data set may follow."""

    def write(self, piece: memoryview) -> None:
        """The data set's next bytes, valid during the call."""

    def finish(self, received_at: float) -> None:
        """The message is complete since ``received_at``: carry it out and answer."""

    def broken_off(self) -> None:
        """The association ended before it was complete."""


@dataclass(frozen=True)
class Services:
    """What answers the requests of all associations.

    Attributes:
        store: takes instances.
        action: answers N-ACTION; None if there is no such service.
        delay_s: seconds by which C-STORE responses are held back.
    """

    store: StoreService
    action: ActionService | None = None
    delay_s: float = 0.0


class Dispatcher:
    """Makes messages of one association's command sets.

    Args:
        services: who answers.
        peer: who asks.
        association: for services that send requests themselves.
        fields: of every log record about the association.
        reported: takes the command set of an N-EVENT-REPORT response.
    """

    def __init__(
        self,
        services: Services,
        peer: Peer,
        association: AssociationHandle,
        fields: Mapping[str, object],
        reported: Callable[[CommandSet], None],
    ) -> None:
        self._services = services
        self._peer = peer
        self._association = association
        self._fields = fields
        self._reported = reported
        self._telling = Telling()

    def begin(
        self, context: AcceptedContext, command: CommandSet, answer: Answer
    ) -> Message:
        """The message that a command set begins.

        Raises:
            MalformedError: it lacks what every message has.
        """
        field = command.required(Element.COMMAND_FIELD)
        if field == CommandField.N_EVENT_REPORT.response:
            return _Dropped(lambda: self._reported(command))
        if field & _RESPONSE:
            raise MalformedError("a response to a request that was not made")
        if field == CommandField.C_CANCEL:
            # Nothing here goes on after its response; PS3.7 9.3.2.3 wants no answer.
            return _Dropped(lambda: None)
        command.required(Element.MESSAGE_ID)
        service = service_of(context.abstract_syntax, private=True)
        if field == CommandField.C_STORE and service is Service.STORAGE:
            return self._storing(context, command, answer)
        action = self._services.action
        if (field, service) == (CommandField.N_ACTION, Service.COMMITMENT) and action:
            carry_out = partial(_acted, action, self._association)
            return _Action(carry_out, self._peer, context, command, answer)
        status = GeneralStatus.UNRECOGNIZED_OPERATION
        if (field, service) == (CommandField.C_ECHO, Service.VERIFICATION):
            status = GeneralStatus.SUCCESS
        elif field == CommandField.C_STORE:
            status = GeneralStatus.SOP_CLASS_NOT_SUPPORTED
        return _Dropped(partial(self._general, command, status, answer))

    def _general(
        self, command: CommandSet, status: GeneralStatus, answer: Answer
    ) -> None:
        """Answer what no service is asked about."""
        if status is not GeneralStatus.SUCCESS:
            said = {"dicom_status": f"{status:04X}", "reason": status.name.lower()}
            self._telling.refused("request refused", {**self._fields, **said})
        if command.required(Element.COMMAND_FIELD) == CommandField.C_STORE:
            metrics.stores(status).inc()
        answer(response(command, status))

    def _storing(
        self, context: AcceptedContext, command: CommandSet, answer: Answer
    ) -> Storing:
        request = StoreCommand(
            sop_class_uid=command.uid(Element.AFFECTED_SOP_CLASS),
            sop_instance_uid=command.uid(Element.AFFECTED_SOP_INSTANCE),
            transfer_syntax_uid=context.transfer_syntax,
            calling_ae=self._peer.calling_ae,
            message_id=command.required(Element.MESSAGE_ID),
        )

        def fields() -> dict[str, object]:
            return {
                **self._fields,
                "sop_class_uid": loggable(request.sop_class_uid),
                "sop_instance_uid": loggable(request.sop_instance_uid),
                "transfer_syntax_uid": request.transfer_syntax_uid,
            }

        return Storing(
            command,
            partial(self._open, context, request),
            answer,
            fields,
            self._telling,
            delay_s=self._services.delay_s,
        )

    def _open(self, context: AcceptedContext, request: StoreCommand) -> Sink:
        """Begin to receive an instance of the class that the context was agreed for.

        Raises:
            StoreRefusedError: it is of another (PS3.7 9.1.1.1.9), or not taken.
        """
        if request.sop_class_uid != context.abstract_syntax:
            raise StoreRefusedError(
                StoreStatus.SOP_CLASS_NOT_SUPPORTED,
                "the SOP class is not that of the presentation context",
            )
        return self._services.store.open(request, self._peer)


def _acted(
    service: ActionService, association: AssociationHandle, request: ActionRequest
) -> ActionResponse:
    return service.action(request, association)


class _Dropped:
    """A message whose data set, if it has one, is of no use."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def write(self, piece: memoryview) -> None:
        """Drop it."""

    def finish(self, received_at: float) -> None:  # noqa: ARG002 - as Message
        """Do what is left."""
        self._then()

    def broken_off(self) -> None:
        """There is nothing to undo."""


class _Action:
    """An N-ACTION request; its data set is small and kept in memory."""

    def __init__(
        self,
        carry_out: Callable[[ActionRequest], ActionResponse],
        peer: Peer,
        context: AcceptedContext,
        command: CommandSet,
        answer: Answer,
    ) -> None:
        self._carry_out = carry_out
        self._peer = peer
        self._context = context
        self._command = command
        self._answer = answer
        self._action_type = command.required(Element.ACTION_TYPE)
        self._information = bytearray()

    def write(self, piece: memoryview) -> None:
        """Keep it, as far as it is not too large."""
        room = MAX_INFORMATION_BYTES + 1 - len(self._information)
        self._information += piece[:room]

    def finish(self, received_at: float) -> None:  # noqa: ARG002 - as Message
        """Let the service answer.

        Raises:
            OSError: the answer could not be sent.
        """
        answer = self._carry_out(
            ActionRequest(
                sop_class_uid=self._command.uid(Element.REQUESTED_SOP_CLASS),
                sop_instance_uid=self._command.uid(Element.REQUESTED_SOP_INSTANCE),
                action_type_id=self._action_type,
                transfer_syntax_uid=self._context.transfer_syntax,
                information=bytes(self._information),
                context_id=self._context.context_id,
                peer=self._peer,
            )
        )
        self._answer(response(self._command, answer.status, comment=answer.comment))
        if answer.after is not None:
            answer.after()

    def broken_off(self) -> None:
        """Nothing was begun."""
