"""What becomes of an A-ASSOCIATE-RQ (PS3.8 9.3.2), and the answer.

The negotiation of contexts and roles is pynetdicom's. Ours are: who may call whom,
which abstract syntaxes are storage, and the window of asynchronous operations.

All of this happens in the door's only thread, so it has to be cheap: who may not call
is refused before what is proposed is looked at, and as a modality proposes the same
each time, so do all of its model, what was answered is remembered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from isocenter.core.errors import MalformedError
from isocenter.storescp.association.acceptance import (
    APPLICATION_CONTEXT,
    encode_accept,
    encode_items,
)
from isocenter.storescp.association.contexts import ACCEPTED, negotiate_contexts
from isocenter.storescp.association.pdu import AbortReason
from isocenter.storescp.association.refusal import Refused, Rejection
from isocenter.storescp.association.request import (
    TITLES,
    AssociateRequest,
    FixedFields,
    decode_fixed,
    decode_items,
)
from isocenter.storescp.peers import ANY, AllowedPeer, Caller, mismatch

_SMALLEST_PDU = 128
"""Bytes; a peer that takes less could not be sent a response's command set."""
_INVOKED_BY_US = 1
_REMEMBERED = 64
_LARGEST_REMEMBERED = 32 * 1024
"""Bytes of proposals; 128 contexts of six transfer syntaxes take 24 KiB."""


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of an association.

    Attributes:
        address: IP address, without port.
        port: of the connection.
        calling_ae: its AE title, without padding.
        called_ae: the AE title that it asked for.
        tls_subject: subject of its certificate as RFC 4514 writes it, if it showed one.
    """

    address: str
    port: int
    calling_ae: str
    called_ae: str
    tls_subject: str | None


@dataclass(frozen=True)
class AcceptedContext:
    """A presentation context both ends agreed on (PS3.8 7.1.1.13).

    Attributes:
        context_id: odd, 1 to 255.
        abstract_syntax: UID of the SOP class.
        transfer_syntax: UID.
        as_scp: whether we may be its service class provider.
        as_scu: whether we may be its user.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scp: bool
    as_scu: bool


@dataclass(frozen=True)
class Negotiated:
    """An association as it was agreed.

    Attributes:
        peer: its requestor.
        contexts: accepted ones, by presentation context ID.
        peer_max_pdu: bytes of P-DATA-TF that the peer takes; 0 for no limit.
        own_max_pdu: bytes that it may send us.
        operations: requests that it may have outstanding at a time, 1 or more.
        answer: the encoded A-ASSOCIATE-AC.
        implementation: the peer's implementation version name, or its class UID.
    """

    peer: Peer
    contexts: Mapping[int, AcceptedContext]
    peer_max_pdu: int
    own_max_pdu: int
    operations: int
    answer: bytes
    implementation: str


@dataclass(frozen=True)
class Acceptance:
    """Who and what is accepted.

    Attributes:
        called_ae_titles: that peers may ask for; ``*`` among them for any.
        allowed_peers: who may call; nobody else.
        private_sop_classes: whether private abstract syntaxes are taken for storage.
        commitment: whether Storage Commitment Push Model is served.
        max_pdu: bytes that peers may send in one P-DATA-TF.
        max_operations: outstanding requests per association, if the peer asks.
    """

    called_ae_titles: frozenset[str]
    allowed_peers: Sequence[AllowedPeer]
    private_sop_classes: bool = True
    commitment: bool = True
    max_pdu: int = 128 * 1024
    max_operations: int = 8


@dataclass(frozen=True)
class _Terms:
    """What of ``Acceptance`` decides on a proposal, whoever makes it."""

    private_sop_classes: bool
    commitment: bool
    max_pdu: int
    max_operations: int


@dataclass(frozen=True)
class _Agreement:
    """What a proposal comes to, whoever makes it; attributes as of ``Negotiated``."""

    contexts: Mapping[int, AcceptedContext]
    peer_max_pdu: int
    operations: int
    items: bytes
    implementation: str


def negotiate(
    rq: bytes, acceptance: Acceptance, caller: Caller, port: int
) -> Negotiated | Refused:
    """Decide on an association.

    Args:
        rq: the whole A-ASSOCIATE-RQ, header included.
        acceptance: who and what is accepted.
        caller: address and certificate of the peer; its AE title is read from ``rq``.
        port: the peer's.
    """
    try:
        fixed = decode_fixed(rq)
    except MalformedError as error:
        return Refused(AbortReason.INVALID_PARAMETER, str(error))
    calling, called = fixed.calling_ae, fixed.called_ae
    why = _refused(fixed, acceptance, caller)
    if why is not None or called is None or calling is None:
        return (why or Refused(Rejection.NO_REASON, "no AE titles")).by(calling, called)
    agreed = _proposed(fixed.items, acceptance)
    if isinstance(agreed, Refused):
        return agreed.by(calling, called)
    return Negotiated(
        peer=Peer(
            address=caller.address,
            port=port,
            calling_ae=calling,
            called_ae=called,
            tls_subject=caller.subject,
        ),
        contexts=agreed.contexts,
        peer_max_pdu=agreed.peer_max_pdu,
        own_max_pdu=acceptance.max_pdu,
        operations=agreed.operations,
        answer=encode_accept(rq[TITLES], agreed.items),
        implementation=agreed.implementation,
    )


def _refused(
    fixed: FixedFields, acceptance: Acceptance, caller: Caller
) -> Refused | None:
    """Whether who calls, and whom, is refused."""
    if not fixed.version_1:
        return Refused(Rejection.PROTOCOL_VERSION, "no version of the protocol we know")
    if fixed.calling_ae is None:
        return Refused(Rejection.CALLING_AE_TITLE, "calling AE title is not one")
    wrong = mismatch(acceptance.allowed_peers, fixed.calling_ae, caller)
    if wrong is not None:
        return Refused(Rejection.CALLING_AE_TITLE, wrong.value)
    if fixed.called_ae is None:
        return Refused(Rejection.CALLED_AE_TITLE, "called AE title is not one")
    if not {fixed.called_ae, ANY} & acceptance.called_ae_titles:
        return Refused(Rejection.CALLED_AE_TITLE, "called AE title is not ours")
    return None


def _proposed(items: bytes, acceptance: Acceptance) -> _Agreement | Refused:
    terms = _Terms(
        acceptance.private_sop_classes,
        acceptance.commitment,
        acceptance.max_pdu,
        acceptance.max_operations,
    )
    try:
        if len(items) > _LARGEST_REMEMBERED:
            return _agree(items, terms)
        return _agree_as_before(items, terms)
    except MalformedError as error:
        return Refused(AbortReason.INVALID_PARAMETER, str(error))


def _agree(items: bytes, terms: _Terms) -> _Agreement | Refused:
    """Decide on what is proposed.

    Raises:
        MalformedError: it breaks PS3.8.
    """
    request = decode_items(items)
    if request.application_context != APPLICATION_CONTEXT:
        return Refused(Rejection.APPLICATION_CONTEXT, "not DICOM's application context")
    if 0 < request.max_pdu < _SMALLEST_PDU:
        return Refused(
            Rejection.NO_REASON, "takes PDUs that no response would fit into"
        )
    results = negotiate_contexts(
        request, private=terms.private_sop_classes, commitment=terms.commitment
    )
    accepted = [one for one in results if one.verdict.result == ACCEPTED]
    window = _window(request, terms.max_operations)
    return _Agreement(
        contexts=MappingProxyType(
            {
                one.context_id: AcceptedContext(
                    context_id=one.context_id,
                    abstract_syntax=one.abstract_syntax,
                    transfer_syntax=one.transfer_syntax,
                    as_scp=one.verdict.as_scp,
                    as_scu=one.verdict.as_scu,
                )
                for one in accepted
            }
        ),
        peer_max_pdu=request.max_pdu,
        operations=window[0] if window else 1,
        items=encode_items(
            results,
            {
                one.abstract_syntax: one.verdict.roles
                for one in accepted
                if one.verdict.roles is not None
            },
            max_pdu=terms.max_pdu,
            window=window,
        ),
        implementation=request.implementation,
    )


_agree_as_before = lru_cache(_REMEMBERED)(_agree)


def _window(request: AssociateRequest, most: int) -> tuple[int, int] | None:
    """The answer to a proposed window; none to a peer that proposed none.

    Its operations at a time are what both ends allow, 0 meaning any number; ours
    stay one, for we invoke none.
    """
    if request.window is None:
        return None
    return min(request.window[0] or most, most), _INVOKED_BY_US
