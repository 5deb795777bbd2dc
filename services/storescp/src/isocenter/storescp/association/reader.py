"""PDUs from a connection: lengths are checked before a byte beyond them is read.

One buffer for each association, whatever lengths a peer claims: values are handed on
in pieces while they come, so neither PDUs nor instances are ever held whole. Pieces are
large even if PDUs are small, because a write and a hash of each 16 KiB would cost twice
as much: data sets' bytes are moved together in the buffer, over the headers between.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from isocenter.core.errors import IsocenterError
from isocenter.storescp.association.pdu import (
    EXPECTED_TYPES,
    HEADER,
    KNOWN_TYPES,
    PDV_HEADER,
    AbortReason,
    PduType,
    ProtocolError,
)
from isocenter.storescp.association.transport import NOTHING, Transport

BUFFER_BYTES = 256 * 1024
"""Memory of an association; also the largest piece that is handed on."""
_ROOM = 64 * 1024
"""Received at once if it is there; with less room left, the buffer is emptied first."""
_HEADER_BYTES, _PDV_HEADER_BYTES = HEADER.size, PDV_HEADER.size
_FIXED_LENGTH = 4
"""Of A-RELEASE-RQ, A-RELEASE-RP and A-ABORT (PS3.8 9.3.6 to 9.3.8)."""
_SLACK = 12
"""Bytes a PDU may be longer than was negotiated: senders that count the headers
differently exist, and it costs no memory here."""


class SilenceError(IsocenterError):
    """The peer sent nothing, or too slowly, for too long."""


class IdleError(SilenceError):
    """No PDU began in time; nothing is lost, and it can be waited for again."""


class ConnectionEndedError(IsocenterError):
    """The peer closed the connection without release or abort."""


@dataclass(frozen=True)
class Patience:
    """Seconds that a peer may take.

    Attributes:
        idle_s: without a byte, between two messages.
        message_s: without a byte, within a message.
        pdu_s: from the first byte of a PDU to its last.
        send_s: without taking a byte of our answer.
        slowest_bytes_per_s: of a message that takes longer than a PDU may.
    """

    idle_s: float = 60.0
    message_s: float = 30.0
    pdu_s: float = 60.0
    send_s: float = 60.0
    slowest_bytes_per_s: float = 1024.0

    @property
    def tick_s(self) -> float:
        """How often a silent connection is looked at."""
        return min(1.0, min(self.idle_s, self.message_s, self.pdu_s) / 4)


class PduReader:
    """Reads one association's PDUs, for one thread.

    Args:
        transport: where from.
        max_pdu: longest PDU that was negotiated, without its header.
        patience: time limits.
        clock: seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        max_pdu: int,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receive = transport.receive
        self._longest = max_pdu + _SLACK
        self._patience = patience
        self._clock = clock
        self._view = memoryview(bytearray(BUFFER_BYTES))
        # In the buffer: data to be handed on, then bytes not looked at yet.
        self._data_start = self._data_end = 0
        self._start = self._end = 0
        self._write: Callable[[memoryview], None] = _nowhere
        self._left = 0
        self._deadline = 0.0
        self._message_began = 0.0
        self._message_bytes = 0

    def next_pdu(self, *, idle: bool) -> PduType:
        """Wait for the next PDU; the one before must have been read to its end.

        Args:
            idle: whether it may be the first of a message.

        Raises:
            ProtocolError: its type or length is not allowed now.
            IdleError: nothing came.
            SilenceError: it came too slowly.
            ConnectionEndedError: the peer closed.
            OSError: the connection broke.
        """
        if self._start == self._end:
            patience = self._patience
            wait_s = patience.idle_s if idle else patience.message_s
            self._deadline = self._clock() + wait_s
            try:
                self._more(BUFFER_BYTES)
            except SilenceError as error:
                if self._start == self._end:
                    raise IdleError(str(error)) from None
        now = self._clock()
        self._deadline = now + self._patience.pdu_s
        if idle:
            self._message_began, self._message_bytes = now, 0
        if self._end - self._start < _HEADER_BYTES:
            self._need(_HEADER_BYTES)
        number, length = HEADER.unpack_from(self._view, self._start)
        kind = EXPECTED_TYPES.get(number)
        if kind is None:
            raise _out_of_place(number)
        if kind is PduType.P_DATA_TF:
            valid = _PDV_HEADER_BYTES <= length <= self._longest
        else:
            valid = length == _FIXED_LENGTH
        if not valid:
            raise ProtocolError(
                f"a PDU of invalid length {length}", AbortReason.INVALID_PARAMETER
            )
        self._start += _HEADER_BYTES
        self._left = length
        self._message_bytes += length
        took = now - self._message_began
        if took > self._patience.pdu_s and (
            self._message_bytes < took * self._patience.slowest_bytes_per_s
        ):
            raise SilenceError("the peer sent a message too slowly")
        return kind

    def fixed(self) -> bytes:
        """The four bytes of a release or abort."""
        self._need(_FIXED_LENGTH)
        content = bytes(self._view[self._start : self._start + _FIXED_LENGTH])
        self._start += _FIXED_LENGTH
        self._left = 0
        return content

    def next_pdv(self) -> tuple[int, int, int] | None:
        """Context id, control header and length of the next value; None after the last.

        Raises:
            ProtocolError: its length does not fit the PDU.
        """
        if not self._left:
            return None
        if self._left < _PDV_HEADER_BYTES:
            raise ProtocolError(
                "a PDU ends within an item", AbortReason.INVALID_PARAMETER
            )
        if self._end - self._start < _PDV_HEADER_BYTES:
            self._need(_PDV_HEADER_BYTES)
        length, context_id, control = PDV_HEADER.unpack_from(self._view, self._start)
        if not 2 <= length <= self._left - 4:  # noqa: PLR2004 - of its own two bytes, to the PDU's end after its length (PS3.8 9.3.5.1)
            raise ProtocolError(
                "a PDU's item has an invalid length", AbortReason.INVALID_PARAMETER
            )
        self._start += _PDV_HEADER_BYTES
        self._left -= length + 4
        return context_id, control, length - 2

    def small(self, length: int) -> bytes:
        """A value that is known to be small: at most 64 KiB."""
        self._need(length)
        self._start += length
        return bytes(self._view[self._start - length : self._start])

    def data(self, length: int, write: Callable[[memoryview], None]) -> None:
        """Pass a data set's value on, at the latest when ``flush`` is called.

        Args:
            length: of the value.
            write: takes pieces, valid during the call; the same for a whole data set.
        """
        self._write = write
        while length:
            if self._start == self._end:
                self._more(length, whole=True)
            count = min(self._end - self._start, length)
            if self._data_start == self._data_end:
                self._data_start = self._data_end = self._start
            to = self._data_end + count
            if self._data_end != self._start:
                self._view[self._data_end : to] = self._view[
                    self._start : self._start + count
                ]
            self._data_end = to
            self._start += count
            length -= count

    def flush(self) -> None:
        """Pass on what came of a data set."""
        if self._data_start != self._data_end:
            began = self._clock()
            self._write(self._view[self._data_start : self._data_end])
            ours = self._clock() - began  # and not the peer's slowness
            self._deadline += ours
            self._message_began += ours
        self._data_start = self._data_end = 0

    def close(self) -> None:
        """Give the buffer back now: the garbage collector may come much later."""
        self._view.release()

    def _need(self, count: int) -> None:
        """Have ``count`` bytes in one piece in the buffer."""
        ready = self._end - self._start
        if ready >= count:
            return
        if ready and self._start + count > BUFFER_BYTES:
            if self._data_end + count > BUFFER_BYTES:
                self.flush()
            to = self._data_end + ready
            self._view[self._data_end : to] = self._view[self._start : self._end]
            self._start, self._end = self._data_end, to
        while self._end - self._start < count:
            self._more(BUFFER_BYTES)

    def _more(self, most: int, *, whole: bool = False) -> None:
        """Receive up to ``most`` bytes; if ``whole``, wait until so many are there."""
        if self._start == self._end:
            if self._data_end > BUFFER_BYTES - _ROOM:
                self.flush()
            self._start = self._end = self._data_end
        into = self._view[self._end : min(self._end + most, BUFFER_BYTES)]
        while (received := self._receive(into, whole=whole)) < 1:
            if received != NOTHING:
                raise ConnectionEndedError("the peer closed the connection")
            if self._clock() >= self._deadline:
                raise SilenceError("the peer sent nothing for too long")
        self._end += received
        if self._clock() >= self._deadline:
            raise SilenceError("the peer sent a PDU too slowly")


def _out_of_place(kind: int) -> ProtocolError:
    if kind in KNOWN_TYPES:
        return ProtocolError("unexpected PDU", AbortReason.UNEXPECTED_PDU)
    return ProtocolError("unrecognized PDU", AbortReason.UNRECOGNIZED_PDU)


def _nowhere(piece: memoryview) -> None:
    """Nothing is to be handed on before the first data set."""
    raise RuntimeError(f"{len(piece)} bytes of no data set")
