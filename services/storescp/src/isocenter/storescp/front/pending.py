"""A connection that has no association yet, one step at a time, never blocking."""

import contextlib
import selectors
import socket
import ssl
import struct
from enum import Enum, auto
from typing import TYPE_CHECKING

from isocenter.storescp.association.pdu import KNOWN_TYPES, AbortReason
from isocenter.storescp.association.refusal import Refused

if TYPE_CHECKING:
    from isocenter.storescp.association.negotiation import Negotiated

MAX_REQUEST = 128 * 1024
"""Bytes of A-ASSOCIATE-RQ after its header: 128 contexts of 10 syntaxes take 32 KiB."""
_HEADER = struct.Struct(">BxI")
_ASSOCIATE_RQ = 0x01
_TLS_HANDSHAKE = 0x16
_PIECE = 16 * 1024
_MOST_DISCARDED = 256 * 1024
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Stage(Enum):
    """How far a connection came."""

    SILENT = auto()
    """No byte came."""
    HANDSHAKE = auto()
    REQUEST = auto()
    COMPLETE = auto()
    """The whole A-ASSOCIATE-RQ is there."""
    ACCEPTING = auto()
    REFUSING = auto()
    LINGERING = auto()
    """Refused; the peer has to read that before the connection goes (PS3.8 Sta13)."""
    ACCEPTED = auto()
    """The whole A-ASSOCIATE-AC is on its way."""
    GONE = auto()
    """Closed or broken by the peer, or there is nothing more to wait for."""


class Pending:
    """One connection.

    Attributes:
        connection: not blocking; TLS once the handshake began.
        address: the peer's.
        port: the peer's.
        deadline: when it is given up, on the monotonic clock.
        stage: how far it came.
        wants: what it waits for, ``READ`` or ``WRITE``.
        failure: why it is gone or lingers, if that is to be told.
        no_tls: whether the TLS handshake failed.
        request: what has come of the A-ASSOCIATE-RQ.
        negotiated: the association that is being accepted.
        place: its place in the registry.
    """

    __slots__ = (
        "_answer",
        "_context",
        "_discarded",
        "_needed",
        "address",
        "connection",
        "deadline",
        "failure",
        "negotiated",
        "no_tls",
        "place",
        "port",
        "request",
        "stage",
        "wants",
    )

    def __init__(
        self,
        connection: socket.socket,
        address: str,
        port: int,
        deadline: float,
        context: ssl.SSLContext | None,
    ) -> None:
        self.connection = connection
        self.address, self.port = address, port
        self.deadline = deadline
        self.stage = Stage.SILENT
        self.wants = READ
        self.failure: str | None = None
        self.no_tls = False
        self.request = bytearray()
        self.negotiated: Negotiated | None = None
        self.place: str | None = None
        self._context = context
        self._needed = _HEADER.size
        self._answer = memoryview(b"")
        self._discarded = 0

    def step(self) -> Refused | None:
        """Go on as far as the connection lets us; ``stage`` says where that is.

        Returns:
            A refusal that ``refuse`` has to be called with, if this is no request.
        """
        try:
            if self.stage is Stage.SILENT and self._context is not None:
                self._begin_handshake()
            if self.stage is Stage.HANDSHAKE:
                self._handshake()
            if self.stage in (Stage.SILENT, Stage.REQUEST):
                return self._read()
            if self.stage in (Stage.ACCEPTING, Stage.REFUSING):
                self._write()
            elif self.stage is Stage.LINGERING:
                self._discard()
        except (BlockingIOError, ssl.SSLWantReadError):
            self.wants = READ
        except ssl.SSLWantWriteError:
            self.wants = WRITE
        except OSError as error:
            self._broken(error)
        return None

    def accept(self, answer: bytes) -> None:
        """Send an A-ASSOCIATE-AC, as far as it goes."""
        self._answer = memoryview(answer)
        self.stage = Stage.ACCEPTING
        self.request.clear()
        self.step()

    def refuse(self, answer: bytes) -> None:
        """Send an A-ASSOCIATE-RJ or A-ABORT, as far as it goes; then linger."""
        self._answer = memoryview(answer)
        self.stage = Stage.REFUSING
        self.request.clear()
        self.step()

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self.connection.close()

    def _begin_handshake(self) -> None:
        # Nothing is made for a connection that may only be a probe.
        if not self.connection.recv(1, socket.MSG_PEEK):
            self.stage = Stage.GONE
            return
        assert self._context is not None  # noqa: S101 - the only caller looked
        self.connection = self._context.wrap_socket(
            self.connection, server_side=True, do_handshake_on_connect=False
        )
        self.stage = Stage.HANDSHAKE

    def _handshake(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)  # noqa: S101 - made in _begin_handshake
        self.connection.do_handshake()
        self.stage = Stage.REQUEST
        self.wants = READ

    def _read(self) -> Refused | None:
        while True:
            missing = self._needed - len(self.request)
            piece = self.connection.recv(min(missing, _PIECE))
            if not piece:
                if self.request:
                    self.failure = "closed within A-ASSOCIATE-RQ"
                self.stage = Stage.GONE
                return None
            self.stage = Stage.REQUEST
            first = not self.request
            self.request += piece
            if first and (refused := self._wrong_type()):
                return refused
            if len(self.request) < self._needed:
                continue
            if self._needed == _HEADER.size:
                _, length = _HEADER.unpack(self.request)
                if length > MAX_REQUEST:
                    return Refused(
                        AbortReason.INVALID_PARAMETER,
                        "claims an A-ASSOCIATE-RQ of more than 128 KiB",
                    )
                self._needed += length
                if length:
                    continue
            self.stage = Stage.COMPLETE
            return None

    def _wrong_type(self) -> Refused | None:
        kind = self.request[0]
        if kind == _ASSOCIATE_RQ:
            return None
        if kind in KNOWN_TYPES:
            return Refused(
                AbortReason.UNEXPECTED_PDU, "no A-ASSOCIATE-RQ to begin with"
            )
        if kind == _TLS_HANDSHAKE:
            return Refused(AbortReason.UNRECOGNIZED_PDU, "TLS on the port without TLS")
        return Refused(AbortReason.UNRECOGNIZED_PDU, "does not speak DICOM")

    def _write(self) -> None:
        while self._answer:
            try:
                sent = self.connection.send(self._answer)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.wants = WRITE
                return
            self._answer = self._answer[sent:]
        self.wants = READ
        if self.stage is Stage.ACCEPTING:
            self.stage = Stage.ACCEPTED
        else:
            self.stage = Stage.LINGERING
            self._discard()

    def _discard(self) -> None:
        while piece := self.connection.recv(_PIECE):
            self._discarded += len(piece)
            if self._discarded > _MOST_DISCARDED:
                break
        self.stage = Stage.GONE

    def _broken(self, error: OSError) -> None:
        if self.stage is Stage.HANDSHAKE:
            self.failure, self.no_tls = _tls_failure(error), True
            if isinstance(error, ssl.SSLError) and error.reason:
                self._let_alert_be_read()
                return
        elif self.stage is Stage.REQUEST and self.request:
            self.failure = "connection broke within A-ASSOCIATE-RQ"
        elif self.stage is Stage.ACCEPTING:
            self.failure = "connection broke before A-ASSOCIATE-AC was sent"
        self.stage = Stage.GONE

    def _let_alert_be_read(self) -> None:
        """Linger: a reset would keep the peer from seeing what OpenSSL answered."""
        self.connection = socket.socket(fileno=self.connection.detach())
        self.connection.setblocking(False)
        self.stage = Stage.LINGERING
        self.wants = READ
        try:
            self._discard()
        except BlockingIOError:
            return
        except OSError:
            self.stage = Stage.GONE


def _tls_failure(error: OSError) -> str:
    """What OpenSSL found wrong; never what the peer sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"no TLS: {error.reason.lower().replace('_', ' ')}"
    return "no TLS: connection closed within the handshake"
