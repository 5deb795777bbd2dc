"""Presentation contexts and roles (PS3.8 9.3.2.2, PS3.7 D.3.3.4), by pynetdicom.

Ours is what is supported: each proposed abstract syntax is looked up, and the transfer
syntaxes are the peer's own, in its order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from isocenter.storescp.association.abstract_syntax import (
    VERIFICATION,
    Service,
    service_of,
)
from isocenter.storescp.association.request import AssociateRequest, ProposedContext

TRANSFER_SYNTAXES: Mapping[Service, Sequence[str] | None] = {
    Service.STORAGE: None,
    Service.VERIFICATION: (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ),
    Service.COMMITMENT: (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
}
"""Taken for each service, the peer's order deciding; None: any."""
ACCEPTED = 0
"""Result of a context (PS3.8 Table 9-18)."""
_NOT_SIGNIFICANT = str(ImplicitVRLittleEndian)
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_MAX_UID = 64

Roles = tuple[bool, bool]
"""Whether an end is SCU, and SCP."""


@dataclass(frozen=True)
class Verdict:
    """What a context comes to, whatever its UIDs are.

    Attributes:
        result: of PS3.8 Table 9-18.
        as_scp: whether we may be service class provider on it.
        as_scu: whether we may be user.
        roles: the peer's, answered to it; None if it is not answered about them.
    """

    result: int
    as_scp: bool
    as_scu: bool
    roles: Roles | None


@dataclass(frozen=True)
class ContextResult:
    """The answer to one proposed context.

    Attributes:
        context_id: odd, 1 to 255.
        abstract_syntax: UID of the SOP class, as it was proposed.
        transfer_syntax: UID; not significant if the context is not accepted.
        verdict: accepted or not, and in which roles.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    verdict: Verdict


def negotiate_contexts(
    request: AssociateRequest, *, private: bool, commitment: bool
) -> list[ContextResult]:
    """Decide on every context, and on roles where the peer asks for them.

    Args:
        request: what the peer proposes.
        private: whether private abstract syntaxes are taken for storage.
        commitment: whether Storage Commitment Push Model is served.

    Returns:
        The answers, in the order of their IDs.
    """
    results = []
    for proposed in sorted(request.contexts, key=lambda cx: cx.context_id):
        service = _service(proposed.abstract_syntax, private, commitment)
        syntax = None if service is None else _chosen(service, proposed)
        verdict = _verdict(
            service is not None,
            syntax is not None,
            request.roles.get(proposed.abstract_syntax),
        )
        results.append(
            ContextResult(
                proposed.context_id,
                proposed.abstract_syntax,
                syntax or _NOT_SIGNIFICANT,
                verdict,
            )
        )
    return results


def _service(abstract: str, private: bool, commitment: bool) -> Service | None:
    if not _is_syntax(abstract):
        return None
    service = service_of(abstract, private=private)
    return None if service is Service.COMMITMENT and not commitment else service


def _chosen(service: Service, context: ProposedContext) -> str | None:
    """The first transfer syntax that is taken: the peer's order is the preference."""
    taken = TRANSFER_SYNTAXES[service]
    for uid in context.transfer_syntaxes:
        if (taken is None and _is_syntax(uid)) or (taken is not None and uid in taken):
            return uid
    return None


@lru_cache
def _verdict(supported: bool, agreed: bool, asked: Roles | None) -> Verdict:
    """What pynetdicom makes of a context, asked with one that stands for all like it.

    Its answer does not depend on which UIDs are proposed, only on whether they are
    supported, and it takes a hundred times as long as all the rest: a request of 128
    contexts would hold up the door for everybody.

    Args:
        supported: whether the abstract syntax is.
        agreed: whether one of the transfer syntaxes is.
        asked: roles that the peer asks for, if it does.
    """
    proposed, ours = PresentationContext(), PresentationContext()
    proposed.context_id = 1
    for context in (proposed, ours):
        context.abstract_syntax = VERIFICATION
    proposed.transfer_syntax = [ImplicitVRLittleEndian]
    ours.transfer_syntax = [ImplicitVRLittleEndian] if agreed else []
    # The peer may be SCU, not SCP; it is answered about that only if it asks.
    ours.scu_role, ours.scp_role = True, False
    [found], items = negotiate_as_acceptor(
        [proposed],
        [ours] if supported else [],
        {proposed.abstract_syntax: asked} if asked else None,
    )
    roles = [(bool(item.scu_role), bool(item.scp_role)) for item in items]
    return Verdict(
        result=int(found.result),
        as_scp=bool(found.as_scp),
        as_scu=bool(found.as_scu),
        roles=roles[0] if roles else None,
    )


def _is_syntax(uid: str) -> bool:
    """Whether PS3.5 9.1 lets this be a UID."""
    return len(uid) <= _MAX_UID and _UID.fullmatch(uid) is not None
