"""An established association: messages in, responses out, and its end (PS3.8 9.2)."""

import contextlib
import logging
import socket
import threading
import time
from dataclasses import dataclass
from functools import partial

from isocenter.core.errors import MalformedError
from isocenter.storescp.association.assembly import Assembly
from isocenter.storescp.association.negotiation import (
    AcceptedContext,
    Negotiated,
    Peer,
)
from isocenter.storescp.association.pdu import (
    RELEASE_RP,
    AbortReason,
    AbortSource,
    PduType,
    ProtocolError,
    abort_pdu,
    data_pdus,
)
from isocenter.storescp.association.reader import (
    ConnectionEndedError,
    IdleError,
    Patience,
    PduReader,
    SilenceError,
)
from isocenter.storescp.association.reports import Reports
from isocenter.storescp.association.transport import NOTHING, Transport
from isocenter.storescp.association.window import Window
from isocenter.storescp.dimse.command import CommandSet
from isocenter.storescp.dimse.dispatch import Dispatcher, Message, Services
from isocenter.storescp.dimse.messages import event_report
from isocenter.storescp.dimse.service import AssociationEndedError, EventReport
from isocenter.storescp.dimse.storing import Storing

log = logging.getLogger(__name__)

_LINGER_S = 1.0
"""Longest wait for the peer to close first: it has our last PDU to read (PS3.8 9.1.5,
ARTIM)."""
_ABORT_S = 1.0


@dataclass(frozen=True)
class End:
    """How an association ended.

    Attributes:
        outcome: ``released`` or ``aborted``.
        reason: why it was aborted, for the log.
    """

    outcome: str
    reason: str = ""


class Association:
    """Serves one peer; ``run`` is for one thread, all else for any.

    Args:
        transport: the connection; its end is this object's end.
        negotiated: what was agreed.
        services: who answers requests.
        patience: time limits.
        fields: of every log record about the association.
    """

    def __init__(
        self,
        transport: Transport,
        negotiated: Negotiated,
        services: Services,
        patience: Patience,
        fields: dict[str, object],
    ) -> None:
        self._transport = transport
        self._negotiated = negotiated
        self._reader = PduReader(
            transport, max_pdu=negotiated.own_max_pdu, patience=patience
        )
        self._assembly = Assembly(
            self._reader,
            negotiated.contexts,
            begin=self._begin,
            complete=self._complete,
        )
        self._dispatcher = Dispatcher(
            services, negotiated.peer, self, fields, self._reported
        )
        self._fields = fields
        self._window = Window(negotiated.operations, self._operation_failed)
        self._reports = Reports()
        self._sending = threading.Lock()
        self._idle = False
        self._leaving = False
        self._why_aborted = ""
        self._said_abort = False
        self._alive = True
        self.instances = 0
        self.bytes = 0

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._negotiated.peer

    @property
    def alive(self) -> bool:
        """Whether a report can still be sent."""
        return self._alive

    @property
    def idle(self) -> bool:
        """Whether no request is being received or answered."""
        return self._idle and not self._window.busy

    def run(self) -> End:
        """Serve until the association ends, however it does."""
        try:
            end = self._serve()
        finally:
            self._alive = False
            self._reports.end()
            self._assembly.broken_off()
            self._window.drain()
            self._transport.close()
            self._reader.close()
        return end

    def _serve(self) -> End:
        try:
            return self._until_release()
        except ProtocolError as error:
            return self._abort(str(error), error.source, error.reason)
        except (MalformedError, SilenceError) as error:
            return self._abort(str(error))
        except (ConnectionEndedError, OSError) as error:
            if self._leaving and not self._why_aborted:
                self._window.drain()
                return self._abort("the service stops")
            lost = f"connection lost: {_kind(error)}"
            return End("aborted", self._why_aborted or lost)
        except Exception:
            log.exception("association failed", extra=self._fields)
            return self._abort("internal error")

    def _until_release(self) -> End:
        reader, assembly = self._reader, self._assembly
        while True:
            between = assembly.between
            self._idle = between
            if between and self._leaving:
                raise ConnectionEndedError("the service stops")
            try:
                kind = reader.next_pdu(idle=between)
            except IdleError:
                if between and (self._window.busy or self._reports.waiting):
                    continue
                raise
            self._idle = False
            if kind is PduType.P_DATA_TF:
                while (pdv := reader.next_pdv()) is not None:
                    assembly.value(*pdv)
            elif kind is PduType.A_ABORT:
                source, reason = reader.fixed()[2:]
                return End("aborted", f"by the peer: source {source}, reason {reason}")
            else:
                reader.fixed()
                return self._release()

    def _begin(self, context: AcceptedContext, request: CommandSet) -> Message:
        self._window.enter()
        return self._dispatcher.begin(
            context, request, partial(self._answer, context.context_id)
        )

    def _complete(self, message: Message) -> None:
        now = time.monotonic()
        if isinstance(message, Storing):
            self.instances += 1
            self.bytes += message.received
            self._window.carry_out(partial(message.finish, now))
        else:
            message.finish(now)
            self._window.leave()

    def _answer(self, context_id: int, command: bytes) -> None:
        pdus = data_pdus(
            context_id,
            command,
            command=True,
            peer_max_pdu=self._negotiated.peer_max_pdu,
        )
        with self._sending:
            if self._said_abort:
                return
            for pdu in pdus:
                self._transport.send(pdu)

    def send_event_report(self, report: EventReport, timeout_s: float) -> int:
        """As ``AssociationHandle``."""
        if not self._alive or report.context_id not in self._negotiated.contexts:
            raise AssociationEndedError("no such association or context any more")
        return self._reports.ask(partial(self._send_report, report), timeout_s)

    def _send_report(self, report: EventReport, message_id: int) -> None:
        pdus = partial(
            data_pdus, report.context_id, peer_max_pdu=self._negotiated.peer_max_pdu
        )
        with self._sending:
            for pdu in pdus(event_report(report, message_id), command=True):
                self._transport.send(pdu)
            for pdu in pdus(report.information, command=False):
                self._transport.send(pdu)

    def _reported(self, response: CommandSet) -> None:
        self._reports.answered(response)

    def _release(self) -> End:
        self._window.drain()
        with self._sending:
            self._transport.send(RELEASE_RP)
        self._linger()
        return End("released")

    def _abort(
        self,
        why: str,
        source: AbortSource = AbortSource.SERVICE_USER,
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
    ) -> End:
        self._send_abort(source, reason)
        self._linger()
        return End("aborted", why)

    def _send_abort(self, source: AbortSource, reason: AbortReason) -> None:
        """Say so if the peer still listens; waiting for it would hold up others."""
        if not self._sending.acquire(timeout=_ABORT_S):
            return
        try:
            self._said_abort = True
            with contextlib.suppress(OSError):
                self._transport.send(abort_pdu(source, reason))
        finally:
            self._sending.release()

    def _linger(self) -> None:
        """Let the peer close first.

        Closing over unread bytes resets the connection, and our last PDU would be lost
        with it.
        """
        self._transport.wake(socket.SHUT_WR)
        deadline = time.monotonic() + _LINGER_S
        scrap = memoryview(bytearray(64 * 1024))
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                if self._transport.receive(scrap, whole=False) in (0, NOTHING):
                    return

    def _operation_failed(self, error: Exception) -> None:
        """An answer could not be sent from another thread: the reader is to end."""
        self._why_aborted = f"an answer could not be sent: {_kind(error)}"
        self._transport.wake(socket.SHUT_RDWR)

    def end_when_idle(self) -> None:
        """Abort as soon as no request is being received or answered."""
        self._leaving = True
        if self._idle:
            self._transport.wake(socket.SHUT_RD)

    def abort(self) -> None:
        """Abort now."""
        if self._alive:
            self._why_aborted = "the service stops"
            self._send_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
            self._transport.wake(socket.SHUT_RDWR)


def _kind(error: Exception) -> str:
    """An error for the log, without what the peer sent."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return (
        str(error) if isinstance(error, ConnectionEndedError) else type(error).__name__
    )
