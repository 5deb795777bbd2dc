"""Refused associations: A-ASSOCIATE-RJ and A-ABORT, one table (PS3.8 9.3.4, 9.3.8)."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from pynetdicom.pdu import A_ASSOCIATE_RJ

from isocenter.storescp.association.pdu import AbortReason, AbortSource, abort_pdu

_PERMANENT, _TRANSIENT = 1, 2
_USER, _ACSE, _PRESENTATION = 1, 2, 3


class Rejection(Enum):
    """Why an association is rejected: result, source, reason (PS3.8 Table 9-21)."""

    APPLICATION_CONTEXT = (_PERMANENT, _USER, 2)
    CALLING_AE_TITLE = (_PERMANENT, _USER, 3)
    CALLED_AE_TITLE = (_PERMANENT, _USER, 7)
    NO_REASON = (_PERMANENT, _ACSE, 1)
    PROTOCOL_VERSION = (_PERMANENT, _ACSE, 2)
    CONGESTION = (_TRANSIENT, _PRESENTATION, 1)
    LOCAL_LIMIT = (_TRANSIENT, _PRESENTATION, 2)


@dataclass(frozen=True)
class Refused:
    """An association that will not be.

    Attributes:
        why: the standard's reason. An abort's source is the service provider: only
            then is its reason significant.
        text: why, for the log; holds nothing that the peer sent.
        calling_ae: the peer's AE title if it is a valid one.
        called_ae: the AE title that it asked for, if that is a valid one.
        answer: the encoded A-ASSOCIATE-RJ or A-ABORT.
    """

    why: Rejection | AbortReason
    text: str
    calling_ae: str | None = None
    called_ae: str | None = None
    answer: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer", _encoded(self.why))

    @property
    def outcome(self) -> str:
        """``rejected``, or ``refused`` of what was no request: nothing to reject."""
        return "rejected" if isinstance(self.why, Rejection) else "refused"

    @property
    def slug(self) -> str:
        """The reason as one word, for metrics and logs."""
        return self.why.name.lower()

    def by(self, calling_ae: str | None, called_ae: str | None) -> Self:
        """The same, of a peer that said who it is."""
        return type(self)(self.why, self.text, calling_ae, called_ae)


def _encoded(why: Rejection | AbortReason) -> bytes:
    if isinstance(why, Rejection):
        reject = A_ASSOCIATE_RJ()
        reject.result, reject.source, reject.reason_diagnostic = why.value
        return bytes(reject.encode())
    return abort_pdu(AbortSource.SERVICE_PROVIDER, why)
