"""N-ACTION in, N-EVENT-REPORT out, on one association (PS3.7 10.1)."""

import queue
import struct
import threading

import pytest
from support.dimse_sender import (
    COMMITMENT,
    EXPLICIT,
    NO_DATA_SET,
    DimseSender,
    message_pdus,
)

from isocenter.storescp.dimse.dispatch import MAX_INFORMATION_BYTES
from isocenter.storescp.dimse.service import (
    ActionResponse,
    AssociationEndedError,
    EventReport,
)

INSTANCE = "1.2.840.10008.1.20.1.1"
CONTEXTS = [(COMMITMENT, EXPLICIT)]


class Commitment:
    """Answers N-ACTION, then reports in a thread of its own."""

    def __init__(self, *, status=0, timeout_s=5.0, context_id=None):
        self.status, self.timeout_s, self.context_id = status, timeout_s, context_id
        self.requests = []
        self.results = queue.Queue()

    def action(self, request, association):
        self.requests.append(request)
        report = EventReport(
            self.context_id or request.context_id,
            COMMITMENT,
            INSTANCE,
            1,
            b"report" * 50_000,
        )

        def send():
            try:
                self.results.put(association.send_event_report(report, self.timeout_s))
            except AssociationEndedError as error:
                self.results.put(error)

        thread = threading.Thread(target=send)
        return ActionResponse(self.status, "said", after=thread.start)


def ask(sender, information, message_id=4):
    command = {
        0x0003: COMMITMENT,
        0x0100: 0x0130,
        0x0110: message_id,
        0x0800: 1,
        0x1001: INSTANCE,
        0x1008: 1,
    }
    sender.send(message_pdus(1, command, information))


def answer(sender, message_id, status=0):
    command = {0x0100: 0x8100, 0x0120: message_id, 0x0800: NO_DATA_SET, 0x0900: status}
    sender.send(message_pdus(1, command))


def test_a_request_is_answered_then_reported_on_the_same_association(connect):
    service = Commitment()
    sender: DimseSender = connect(contexts=CONTEXTS, action=service)
    ask(sender, b"information")
    response = sender.read()
    assert (response.us(0x0100), response.status, response.responded_to) == (
        0x8130, 0, 4,
    )  # fmt: skip
    report = sender.read()
    assert (report.us(0x0100), report.us(0x1002)) == (0x0100, 1)
    assert report.data == b"report" * 50_000
    answer(sender, report.us(0x0110), 0x0110)
    assert service.results.get(timeout=5) == 0x0110
    assert sender.release()
    (request,) = service.requests
    assert request.information == b"information"
    assert (request.sop_class_uid, request.sop_instance_uid) == (COMMITMENT, INSTANCE)
    assert (request.action_type_id, request.transfer_syntax_uid) == (1, EXPLICIT)
    assert request.peer.calling_ae == "SENDER"


def test_a_report_is_not_answered_by_the_end_of_the_association(connect):
    service = Commitment()
    sender = connect(contexts=CONTEXTS, action=service)
    ask(sender, b"")
    sender.read()
    sender.read()
    assert sender.release()
    assert isinstance(service.results.get(timeout=5), AssociationEndedError)


def test_a_report_that_is_not_answered_in_time_fails_and_a_late_answer_is_harmless(
    connect,
):
    service = Commitment(timeout_s=0.1)
    sender = connect(contexts=CONTEXTS, action=service)
    ask(sender, b"")
    sender.read()
    report = sender.read()
    assert isinstance(service.results.get(timeout=5), AssociationEndedError)
    answer(sender, report.us(0x0110))
    ask(sender, b"")
    assert sender.read().us(0x0100) == 0x8130
    answer(sender, sender.read().us(0x0110))
    assert service.results.get(timeout=5) == 0
    assert sender.release()


def test_no_report_by_a_context_that_was_not_accepted(connect):
    service = Commitment(context_id=99)
    sender = connect(contexts=CONTEXTS, action=service)
    ask(sender, b"")
    sender.read()
    assert isinstance(service.results.get(timeout=5), AssociationEndedError)
    assert sender.release()


def test_information_without_bound_is_cut_where_the_service_sees_it(connect):
    service = Commitment(status=0x0213, context_id=99)
    sender = connect(contexts=CONTEXTS, action=service)
    ask(sender, bytes(MAX_INFORMATION_BYTES + 100_000))
    assert sender.read().status == 0x0213
    (request,) = service.requests
    assert len(request.information) == MAX_INFORMATION_BYTES + 1
    assert sender.release()


@pytest.mark.parametrize("message_id", [0, 1, 65535])
def test_an_answer_to_a_report_that_was_never_sent_aborts(connect, message_id):
    sender = connect(contexts=CONTEXTS, action=Commitment())
    answer(sender, message_id)
    assert sender.read_pdu() == struct.pack(">BxL4B", 7, 4, 0, 0, 0, 0)
