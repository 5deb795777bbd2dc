"""A-ASSOCIATE-RQ in, the answer out; pynetdicom reads the answers."""

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
)
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.presentation import (
    SCP_SCU_ROLES,
    build_context,
    negotiate_as_acceptor,
)
from support.dimse_sender import associate_rq, item

from isocenter.storescp.association.negotiation import (
    Acceptance,
    AcceptedContext,
    Negotiated,
    Peer,
    negotiate,
)
from isocenter.storescp.association.pdu import AbortReason
from isocenter.storescp.association.refusal import Refused, Rejection
from isocenter.storescp.association.request import MAX_ITEMS
from isocenter.storescp.peers import AllowedPeer, Caller

VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE = "1.2.840.113619.4.26"
PRIVATE_SYNTAX = "1.2.840.113619.5.2"
HERE = Caller("10.0.0.7")
ANYBODY = Acceptance(frozenset({"S3SCP"}), (AllowedPeer(ae_title="*"),))
CT = (CTImageStorage, ExplicitVRLittleEndian)


def decide(contexts=(CT,), *, acceptance=ANYBODY, caller=HERE, **more):
    return negotiate(associate_rq(contexts, **more), acceptance, caller, 104)


def answered(result):
    """The answer, read independently."""
    pdu = A_ASSOCIATE_AC()
    pdu.decode(result.answer)
    return pdu.to_primitive()


def test_an_association():
    result = decide(calling="CT1", max_pdu=16384)
    assert result.peer == Peer("10.0.0.7", 104, "CT1", "S3SCP", None)
    assert result.contexts == {
        1: AcceptedContext(1, *CT, as_scp=True, as_scu=False),
    }
    assert (result.peer_max_pdu, result.own_max_pdu) == (16384, 131072)
    assert result.operations == 1
    answer = answered(result)
    assert (answer.calling_ae_title, answer.called_ae_title) == ("CT1", "S3SCP")
    assert answer.maximum_length_received == 131072
    assert answer.implementation_class_uid is not None


CONTEXTS = [
    # proposed, result (PS3.8 Table 9-18), accepted transfer syntax
    ((VERIFICATION, ImplicitVRLittleEndian), 0, ImplicitVRLittleEndian),
    ((VERIFICATION, HTJ2KLossless), 4, None),
    ((COMMITMENT, ExplicitVRLittleEndian), 0, ExplicitVRLittleEndian),
    ((COMMITMENT, HTJ2KLossless), 4, None),
    ((*CT, ImplicitVRLittleEndian), 0, ExplicitVRLittleEndian),
    ((CTImageStorage, ImplicitVRLittleEndian, CT[1]), 0, ImplicitVRLittleEndian),
    ((CTImageStorage, HTJ2KLossless, CT[1]), 0, HTJ2KLossless),
    ((CTImageStorage, PRIVATE_SYNTAX), 0, PRIVATE_SYNTAX),
    ((CTImageStorage, "no UID"), 4, None),
    ((CTImageStorage, "no UID", CT[1]), 0, ExplicitVRLittleEndian),
    ((CTImageStorage, CT[1] + "\0"), 0, ExplicitVRLittleEndian),
    ((PRIVATE, CT[1]), 0, ExplicitVRLittleEndian),
    (("1.2.03.4", CT[1]), 3, None),
    ((STUDY_ROOT_FIND, CT[1]), 3, None),
    (("no UID", CT[1]), 3, None),
    (("", CT[1]), 3, None),
]


@pytest.mark.parametrize(("proposed", "result", "syntax"), CONTEXTS)
def test_presentation_contexts(proposed, result, syntax):
    negotiated = decide([proposed])
    (context,) = answered(negotiated).presentation_context_definition_results_list
    assert context.result == result
    if syntax is None:
        assert not negotiated.contexts
    else:
        assert context.transfer_syntax == [syntax]
        assert negotiated.contexts[1].transfer_syntax == syntax


def test_one_class_in_two_contexts_keeps_the_syntax_of_each():
    contexts = decide([(CTImageStorage, s) for s in (HTJ2KLossless, CT[1])]).contexts
    assert [contexts[n].transfer_syntax for n in (1, 3)] == [HTJ2KLossless, CT[1]]


def test_all_128_contexts_are_answered():
    proposed = [(f"1.2.840.10008.5.1.4.1.1.{n}", CT[1]) for n in range(128)]
    results = answered(decide(proposed)).presentation_context_definition_results_list
    assert [cx.context_id for cx in results] == list(range(1, 256, 2))


def test_private_classes_by_setting():
    acceptance = Acceptance(
        ANYBODY.called_ae_titles, ANYBODY.allowed_peers, private_sop_classes=False
    )
    assert list(decide([(PRIVATE, CT[1]), CT], acceptance=acceptance).contexts) == [3]


def test_storage_commitment_by_setting():
    acceptance = Acceptance(
        ANYBODY.called_ae_titles, ANYBODY.allowed_peers, commitment=False
    )
    assert list(decide([(COMMITMENT, CT[1]), CT], acceptance=acceptance).contexts) == [
        3
    ]


ROLES = [
    # proposed by the peer (SCU, SCP), answered, context accepted
    ((1, 0), (True, False), True),
    ((1, 1), (True, False), True),
    ((0, 1), None, False),
]


@pytest.mark.parametrize(("proposed", "expected", "accepted"), ROLES)
def test_roles_we_are_scp_only(proposed, expected, accepted):
    result = decide(roles=[(CTImageStorage, *proposed)])
    assert bool(result.contexts) == accepted
    roles = [
        (item.scu_role, item.scp_role)
        for item in answered(result).user_information
        if hasattr(item, "scu_role")
    ]
    assert roles == ([expected] if expected else [])
    assert all(cx.as_scp and not cx.as_scu for cx in result.contexts.values())


WINDOWS = [
    # proposed (invoked, performed), answered, requests at a time
    (None, None, 1),
    ((1, 1), (1, 1), 1),
    ((4, 0), (4, 1), 4),
    ((0, 0), (8, 1), 8),
    ((100, 3), (8, 1), 8),
]


@pytest.mark.parametrize(("proposed", "expected", "operations"), WINDOWS)
def test_asynchronous_operations(proposed, expected, operations):
    result = decide(operations=proposed)
    assert result.operations == operations
    windows = [
        (
            item.maximum_number_operations_invoked,
            item.maximum_number_operations_performed,
        )
        for item in answered(result).user_information
        if hasattr(item, "maximum_number_operations_invoked")
    ]
    assert windows == ([expected] if expected else [])


NAMED = Acceptance(
    frozenset({"S3SCP", "OLDNAME"}),
    (
        AllowedPeer(ae_title="CT1", cidrs=["10.0.0.0/8"]),
        AllowedPeer(ae_title="MR1", certificate_subject="CN=mr1"),
    ),
)
WHO = [
    # calling, called, caller, rejection
    ("CT1", "S3SCP", HERE, None),
    ("CT1", "OLDNAME", HERE, None),
    ("CT1", "S3SCP", Caller("192.0.2.1"), Rejection.CALLING_AE_TITLE),
    ("ct1", "S3SCP", HERE, Rejection.CALLING_AE_TITLE),
    ("CT2", "S3SCP", HERE, Rejection.CALLING_AE_TITLE),
    ("", "S3SCP", HERE, Rejection.CALLING_AE_TITLE),
    ("C\\1", "S3SCP", HERE, Rejection.CALLING_AE_TITLE),
    ("CT1", "S3", HERE, Rejection.CALLED_AE_TITLE),
    ("CT1", "", HERE, Rejection.CALLED_AE_TITLE),
    ("MR1", "S3SCP", HERE, Rejection.CALLING_AE_TITLE),
    ("MR1", "S3SCP", Caller("192.0.2.1", "CN=mr1"), None),
]


@pytest.mark.parametrize(("calling", "called", "caller", "why"), WHO)
def test_who_may_call_whom(calling, called, caller, why):
    result = decide(calling=calling, called=called, acceptance=NAMED, caller=caller)
    if why is None:
        assert isinstance(result, Negotiated)
        return
    assert result.why is why
    rejection = A_ASSOCIATE_RJ()
    rejection.decode(result.answer)
    found = rejection.result, rejection.source, rejection.reason_diagnostic
    assert found == why.value


def test_nobody_may_call_by_default():
    assert decide(acceptance=Acceptance(frozenset({"S3SCP"}), ())).why is (
        Rejection.CALLING_AE_TITLE
    )


def test_any_called_ae_title_by_setting():
    anything = Acceptance(frozenset({"*"}), ANYBODY.allowed_peers)
    assert decide(called="WHATEVER", acceptance=anything).peer.called_ae == "WHATEVER"


def changed(at, content, **more):
    rq = bytearray(associate_rq([CT], **more))
    rq[at : at + len(content)] = content
    return bytes(rq)


def made_of(body):
    fixed = associate_rq([CT])[6:74]
    return b"\x01\0" + (len(fixed) + len(body)).to_bytes(4) + fixed + body


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
CONTEXT = item(0x20, b"\1\0\0\0" + item(0x30, CT[0].encode()) + item(0x40, b"1.2"))
USER = item(0x50, item(0x51, bytes(4)))
UNKNOWN = item(0x77, b"\xff" * 9)
TOLERATED = {
    "unknown items": UNKNOWN + APPLICATION + CONTEXT + UNKNOWN + USER,
    "unknown user item": APPLICATION + CONTEXT + item(0x50, UNKNOWN),
    "no user information": APPLICATION + CONTEXT,
    "user identity, unread": APPLICATION + CONTEXT + item(0x50, item(0x58, b"\xff")),
    "padded UIDs": item(0x10, b"1.2.840.10008.3.1.1.1\0") + CONTEXT,
}
BROKEN = {
    "no application context": CONTEXT + USER,
    "two": APPLICATION * 2 + CONTEXT + USER,
    "no presentation context": APPLICATION + USER,
    "the same ID twice": APPLICATION + CONTEXT * 2,
    "even ID": APPLICATION + item(0x20, b"\2" + CONTEXT[5:]),
    "no abstract syntax": APPLICATION + item(0x20, b"\1\0\0\0" + item(0x40, b"1.2")),
    "no transfer syntax": APPLICATION + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2")),
    "UID of 65": APPLICATION
    + item(0x20, b"\1\0\0\0" + item(0x30, b"1" * 65) + item(0x40, b"1.2")),
    "cut context": APPLICATION + item(0x20, b"\1\0"),
    "cut item": APPLICATION + CONTEXT + b"\x50\0\0",
    "too long item": APPLICATION + CONTEXT + b"\x50\0\xff\xff",
    "short max length": APPLICATION + CONTEXT + item(0x50, item(0x51, b"\0")),
    "short window": APPLICATION + CONTEXT + item(0x50, item(0x53, b"\0" * 3)),
    "wrong role": APPLICATION + CONTEXT + item(0x50, item(0x54, b"\0\x09" + b"1")),
    "empty role": APPLICATION + CONTEXT + item(0x50, item(0x54, b"")),
}


@pytest.mark.parametrize("body", TOLERATED.values(), ids=TOLERATED)
def test_what_is_tolerated(body):
    assert isinstance(negotiate(made_of(body), ANYBODY, HERE, 104), Negotiated)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_protocol_is_aborted(body):
    result = negotiate(made_of(body), ANYBODY, HERE, 104)
    assert result.why is AbortReason.INVALID_PARAMETER
    assert result.answer == bytes.fromhex("07000000000400000206")
    assert (result.calling_ae, result.called_ae) == ("SENDER", "S3SCP")


REJECTED = [
    (changed(6, b"\0\2"), Rejection.PROTOCOL_VERSION),
    (changed(78, b"9.9"), Rejection.APPLICATION_CONTEXT),
    (changed(0, b"", max_pdu=100), Rejection.NO_REASON),
]


@pytest.mark.parametrize(("rq", "why"), REJECTED)
def test_other_rejections(rq, why):
    assert negotiate(rq, ANYBODY, HERE, 104).why is why


def test_every_cut_and_every_changed_byte_is_answered():
    rq = associate_rq([CT, (VERIFICATION, CT[1])], operations=(2, 2))
    for end in range(len(rq)):
        assert isinstance(negotiate(rq[:end], ANYBODY, HERE, 104), Refused)
    for at in range(6, len(rq)):
        for value in (0x00, 0x7F, 0xFF):
            broken = rq[:at] + bytes([value]) + rq[at + 1 :]
            assert negotiate(broken, ANYBODY, HERE, 104).answer


def test_a_title_that_is_none_is_told_nowhere():
    result = negotiate(changed(26, b"Doe^J\xe4ne\n"), ANYBODY, HERE, 104)
    assert result.why is Rejection.CALLING_AE_TITLE
    assert result.calling_ae is None
    assert "Doe" not in str(result)


ASKED = [None, *(roles for roles in SCP_SCU_ROLES if None not in roles)]


@pytest.mark.parametrize("asked", ASKED)
def test_contexts_and_roles_are_what_pynetdicom_says_of_all_of_them_at_once(asked):
    syntaxes = [CT[1], ImplicitVRLittleEndian]
    proposed = [(CTImageStorage, *syntaxes), (VERIFICATION, HTJ2KLossless), (
        STUDY_ROOT_FIND, CT[1]), (PRIVATE, *syntaxes)]  # fmt: skip
    ours = [build_context(uid, syntaxes) for uid in (CTImageStorage, VERIFICATION)]
    ours.append(build_context(PRIVATE, syntaxes))
    for context in ours:
        context.scu_role, context.scp_role = True, False
    theirs = [build_context(uid, list(given)) for uid, *given in proposed]
    for number, context in enumerate(theirs):
        context.context_id = 2 * number + 1
    roles = {} if asked is None else {cx.abstract_syntax: asked for cx in theirs}
    expected, items = negotiate_as_acceptor(theirs, ours, roles)
    result = decide(proposed, roles=[(uid, *asked) for uid, asked in roles.items()])
    answer = answered(result)
    found = answer.presentation_context_definition_results_list
    assert [cx.result for cx in found] == [cx.result for cx in expected]
    assert {
        number: (cx.transfer_syntax, cx.as_scp, cx.as_scu)
        for number, cx in result.contexts.items()
    } == {
        cx.context_id: (cx.transfer_syntax[0], cx.as_scp, cx.as_scu)
        for cx in expected
        if cx.result == 0
    }
    assert {
        item.sop_class_uid: (item.scu_role, item.scp_role)
        for item in answer.user_information
        if hasattr(item, "scu_role")
    } == {item.sop_class_uid: (item.scu_role, item.scp_role) for item in items}


def test_the_same_proposal_is_decided_once_whoever_makes_it():
    first, second = decide(calling="CT1"), decide(calling="CT2")
    assert first.contexts is second.contexts
    assert [one.peer.calling_ae for one in (first, second)] == ["CT1", "CT2"]
    titles = [answered(one).calling_ae_title for one in (first, second)]
    assert titles == ["CT1", "CT2"]


def test_what_was_agreed_is_no_association_s_to_change():
    with pytest.raises(TypeError):
        decide().contexts[1] = None


def test_reserved_fields_are_repeated_as_they_came():
    rq = changed(10, b"S3SCP\0\0\0", called="S3SCP")
    assert negotiate(rq, ANYBODY, HERE, 104).answer[10:74] == rq[10:74]


def test_who_may_not_call_is_refused_before_its_proposal_is_read():
    body = BROKEN["cut item"]
    result = negotiate(made_of(body), NAMED, HERE, 104)
    assert result.why is Rejection.CALLING_AE_TITLE


@pytest.mark.parametrize(
    "body",
    [
        CONTEXT + UNKNOWN * MAX_ITEMS,
        item(
            0x20,
            b"\1\0\0\0" + item(0x30, b"1.2") + item(0x40, b"1.2") * 257,
        ),
        CONTEXT + item(0x50, item(0x54, b"\0\x031.2\1\0") * 5000) + UNKNOWN * 5000,
    ],
    ids=["items", "syntaxes of one", "roles and items"],
)
def test_more_than_any_real_peer_proposes_is_aborted(body):
    result = negotiate(made_of(APPLICATION + body), ANYBODY, HERE, 104)
    assert result.why is AbortReason.INVALID_PARAMETER


def test_as_much_as_fits_into_a_request_is_taken():
    syntaxes = [f"1.2.840.10008.1.2.4.{n}" for n in range(100, 136)]
    proposed = [(f"1.2.840.10008.5.1.4.1.1.{n}", *syntaxes) for n in range(128)]
    assert 110_000 < len(associate_rq(proposed)) < 128 * 1024
    assert len(answered(decide(proposed)).presentation_context_definition_results_list
               ) == 128  # fmt: skip
