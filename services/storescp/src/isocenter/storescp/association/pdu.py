"""Protocol data units of an established association (PS3.8 9.3). Pure."""

import struct
from collections.abc import Iterator
from enum import IntEnum

from isocenter.core.errors import IsocenterError

HEADER = struct.Struct(">BxL")
"""Type, reserved, length of what follows."""
PDV_HEADER = struct.Struct(">LBB")
"""Length of what follows it, presentation context id, message control header."""
_FIXED = struct.Struct(">BxL4B")
COMMAND, LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 E.2)."""
_LARGEST_SENT = 64 * 1024
_SMALLEST_DATA = 2


class PduType(IntEnum):
    """First byte of a PDU."""

    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


KNOWN_TYPES = frozenset(range(0x01, 0x08))
"""Types of PS3.8; others are unrecognized."""
EXPECTED_TYPES = {
    int(kind): kind
    for kind in (PduType.P_DATA_TF, PduType.A_RELEASE_RQ, PduType.A_ABORT)
}
"""Of those, what may come while an association stands."""


class AbortSource(IntEnum):
    """Who aborts (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ProtocolError(IsocenterError):
    """The peer broke the protocol: the association is aborted.

    Attributes:
        source, reason: of the A-ABORT (PS3.8 9.3.8).
    """

    def __init__(
        self,
        text: str,
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
        source: AbortSource = AbortSource.SERVICE_PROVIDER,
    ) -> None:
        super().__init__(text)
        self.source = source
        self.reason = reason


RELEASE_RP = _FIXED.pack(PduType.A_RELEASE_RP, 4, 0, 0, 0, 0)
"""A-RELEASE-RP (PS3.8 9.3.7)."""


def abort_pdu(source: AbortSource, reason: AbortReason) -> bytes:
    """A-ABORT (PS3.8 9.3.8); a service user gives no reason."""
    given = reason if source is AbortSource.SERVICE_PROVIDER else 0
    return _FIXED.pack(PduType.A_ABORT, 4, 0, 0, source, given)


def data_pdus(
    context_id: int, message: bytes, *, command: bool, peer_max_pdu: int
) -> Iterator[bytes]:
    """P-DATA-TF PDUs of one command set or data set, a fragment each.

    Args:
        context_id: presentation context.
        message: encoded set, of even length.
        command: whether it is a command set.
        peer_max_pdu: what the peer takes (PS3.8 D.1), 0 for any length.
    """
    largest = min(peer_max_pdu or _LARGEST_SENT, _LARGEST_SENT)
    step = max(_SMALLEST_DATA, (largest - PDV_HEADER.size) & ~1)
    kind = COMMAND if command else 0
    for start in range(0, len(message) or 1, step):
        piece = message[start : start + step]
        last = LAST if start + step >= len(message) else 0
        pdv = PDV_HEADER.pack(len(piece) + 2, context_id, kind | last)
        yield HEADER.pack(PduType.P_DATA_TF, len(pdv) + len(piece)) + pdv + piece
