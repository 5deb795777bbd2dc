"""What an association asks of the services behind it: the contracts.

The association calls these in its own thread; where another thread may call, the
method says so. None of them knows sockets, PDUs or command sets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from isocenter.core.errors import IsocenterError
from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.status import StoreStatus


class AssociationEndedError(IsocenterError):
    """The association ended before the peer answered; ask again on another one."""


@dataclass(frozen=True)
class StoreCommand:
    """What a C-STORE request says, beside its data set (PS3.7 9.3.1.1).

    The UIDs are the peer's words, unchecked: any text of at most 16 KiB.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    message_id: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of an instance that may be acknowledged, or is refused in order.

    Attributes:
        status: of the response.
        comment: Error Comment, at most 64 characters; empty for none.
        offending: tag for Offending Element, if one is at fault.
        bytes: stored for this request; 0 if nothing new was.
        fields: for the log; no patient attribute.
    """

    status: StoreStatus
    comment: str = ""
    offending: int | None = None
    bytes: int = 0
    fields: Mapping[str, object] = field(default_factory=dict)


class Sink(Protocol):
    """One C-STORE request being received.

    Exactly one of ``finish`` and ``abandon`` is called, once, after the last ``write``.
    After an error of ``write`` that is ``abandon``, at once; the rest of the data set
    is read and dropped, then the request is answered by ``status.refusal``.
    """

    def write(self, piece: memoryview) -> None:
        """Take the data set's next bytes, valid only during the call.

        Raises:
            StoreRefusedError, MalformedError, OSError: the instance is not taken.
        """

    def finish(self) -> Outcome:
        """The last byte came: make it durable. May be called in another thread.

        Raises:
            StoreRefusedError, MalformedError, OSError: the instance is not kept.
                ``abandon`` is not called after it.
        """

    def abandon(self) -> None:
        """Drop what came: nothing of it is acknowledged. Never raises."""


class StoreService(Protocol):
    """Takes instances; used by all associations at once."""

    def open(self, command: StoreCommand, peer: Peer) -> Sink:
        """Begin to receive an instance.

        Raises:
            StoreRefusedError: it is not taken; its data set is read and dropped.
        """


@dataclass(frozen=True)
class ActionRequest:
    """An N-ACTION request (PS3.7 10.1.4).

    Attributes:
        sop_class_uid: Requested SOP Class UID (0000,0003).
        sop_instance_uid: Requested SOP Instance UID (0000,1001).
        action_type_id: (0000,1008).
        transfer_syntax_uid: of ``information``.
        information: the data set's bytes; empty if there is none.
        context_id: presentation context, for a report on the same association.
        peer: who asks.
    """

    sop_class_uid: str
    sop_instance_uid: str
    action_type_id: int
    transfer_syntax_uid: str
    information: bytes
    context_id: int
    peer: Peer


@dataclass(frozen=True)
class ActionResponse:
    """What an N-ACTION is answered with.

    Attributes:
        status: PS3.7 10.1.4.1.10; 0x0000 is success.
        comment: Error Comment, at most 64 characters; empty for none.
        after: called in the association's thread once the response was sent. It must
            return at once: what waits for the peer needs a thread of its own.
    """

    status: int
    comment: str = ""
    after: Callable[[], None] | None = None


@dataclass(frozen=True)
class EventReport:
    """An N-EVENT-REPORT request (PS3.7 10.1.1), sent by us.

    Attributes:
        context_id: accepted presentation context it goes by.
        sop_class_uid: Affected SOP Class UID (0000,0002).
        sop_instance_uid: Affected SOP Instance UID (0000,1000).
        event_type_id: (0000,1002).
        information: data set, encoded in the context's transfer syntax.
    """

    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int
    information: bytes


class AssociationHandle(Protocol):
    """An established association, as a service may use it; safe for any thread."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    @property
    def alive(self) -> bool:
        """Whether a report can still be sent."""

    def send_event_report(self, report: EventReport, timeout_s: float) -> int:
        """Send a report and wait for its answer; not in the association's thread.

        Returns:
            The answer's status (0000,0900).

        Raises:
            AssociationEndedError: no answer; the peer may or may not have the report.
        """


class ActionService(Protocol):
    """Answers N-ACTION; used by all associations at once."""

    def action(
        self, request: ActionRequest, association: AssociationHandle
    ) -> ActionResponse:
        """Answer a request; called in the association's thread."""
