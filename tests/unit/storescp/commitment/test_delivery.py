from datetime import timedelta

import pytest

from isocenter.storescp.commitment.addresses import ReportAddress
from isocenter.storescp.commitment.delivery import Courier, Delivery, Route, delay_after
from isocenter.storescp.commitment.report_scu import NotReportedError
from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.transactions import Transaction

ADDRESS = ReportAddress("ct1.example.org", 104, tls=False)
SYNTAX = "1.2.840.10008.1.2.1"


class FakeReporter:
    def __init__(self):
        self.sent = []
        self.fails = False

    def send(self, address, **report):
        self.sent.append((address, report))
        if self.fails:
            raise NotReportedError("no association with ct1.example.org:104: refused")


@pytest.fixture
def reporter():
    return FakeReporter()


@pytest.fixture
def courier(reporter):
    """Times are in the far future: every moment after a response has passed."""

    def make(*, known=True, clock=lambda: 1e12):
        addresses = {"CT1": ADDRESS} if known else {}
        return Courier(reporter, addresses, report_s=3600, clock=clock)

    return make


@pytest.fixture
def decided(make):
    asked = Transaction.asked(
        "1.9",
        (Reference(make.CT, "1.2.1"), Reference(make.CT, "1.2.2")),
        calling_ae="CT1",
        called_ae="STORE",
        now=make.NOW,
    )
    return asked.decided({"1.2.2": 0x0112}, make.NOW)


def by(association, *, answered=True):
    route = Route(association, 5, SYNTAX)
    if answered:
        route.answered()
    return Delivery([route])


def test_a_report_goes_by_the_association_that_asked(
    courier, reporter, decided, association, make
):
    delivery = by(association)
    assert courier().deliver(decided, delivery, make.NOW) == "reported"
    (report,) = association.reports
    assert (report.context_id, report.event_type_id) == (5, 2)
    assert report.sop_class_uid == "1.2.840.10008.1.20.1"
    assert report.sop_instance_uid == "1.2.840.10008.1.20.1.1"
    assert b"1.2.1" in report.information
    assert not reporter.sent


def test_not_before_the_response_and_a_moment_after_it(
    courier, decided, association, make
):
    delivery = by(association, answered=False)
    assert courier().deliver(decided, delivery, make.NOW) > 0
    delivery.routes[0].answered_at = 10.0
    assert courier(clock=lambda: 10.4).deliver(decided, delivery, make.NOW) > 0
    assert not association.reports
    late = courier(clock=lambda: 11.0)
    assert late.deliver(decided, delivery, make.NOW) == "reported"


@pytest.mark.parametrize("answer", [None, 0x0110])
def test_a_report_that_fails_there_goes_by_an_association_of_our_own(
    courier, reporter, decided, association, make, answer
):
    association.status = answer
    assert courier().deliver(decided, by(association), make.NOW) == "reported"
    ((address, report),) = reporter.sent
    assert address == ADDRESS
    assert (report["calling_ae"], report["called_ae"]) == ("STORE", "CT1")
    assert report["event_type"] == 2
    assert report["information"].TransactionUID == "1.9"


def test_a_closed_association_is_not_used(
    courier, reporter, decided, association, make
):
    association.alive = False
    assert courier().deliver(decided, by(association), make.NOW) == "reported"
    assert not association.reports
    assert len(reporter.sent) == 1


def test_without_association_and_address_there_is_no_way(
    courier, decided, association, make
):
    association.alive = False
    lost = courier(known=False)
    assert not lost.reachable(decided, by(association))
    assert lost.deliver(decided, by(association), make.NOW) == "unreachable"


def test_a_peer_that_is_away_is_tried_ever_less_often_and_then_no_more(
    courier, reporter, decided, make
):
    reporter.fails = True
    delivery = Delivery()
    delays = [courier().deliver(decided, delivery, make.NOW) for _ in range(3)]
    assert delays == [5, 10, 20]
    late = make.NOW + timedelta(seconds=3601)
    assert courier().deliver(decided, delivery, late) == "given_up"


def test_delays_end_at_ten_minutes():
    assert delay_after(100) == 600
