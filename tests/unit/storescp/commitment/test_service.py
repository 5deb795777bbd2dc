import threading
from datetime import timedelta

import pytest
from support.instances import eventually

from isocenter.storescp.commitment import service as service_module
from isocenter.storescp.commitment.decision import Finding, Patience
from isocenter.storescp.commitment.delivery import Courier
from isocenter.storescp.commitment.report_scu import NotReportedError
from isocenter.storescp.commitment.service import CommitmentService, Terms
from isocenter.storescp.commitment.standard import MAX_INFORMATION_BYTES
from isocenter.storescp.commitment.transactions import Transactions


class FakeWhereabouts:
    """Findings by SOP Instance UID; unknown if not set."""

    def __init__(self):
        self.findings = {}
        self.fail = 0
        self.unfinished = 0

    def look(self, references, asked_at, search):
        if self.fail:
            self.fail -= 1
            raise OSError("the volume is away")
        self.unfinished -= search.whole is False
        search.whole = self.unfinished <= 0
        uids = [r.sop_instance_uid for r in references]
        return {uid: self.findings.get(uid, Finding.UNKNOWN) for uid in uids}

    def close(self):
        pass


class FakeReporter:
    def __init__(self):
        self.sent = []
        self.away = False

    def send(self, address, **report):
        if self.away:
            raise NotReportedError("no association: refused")
        self.sent.append((address, report["event_type"], report["information"]))


class Parts:
    """A service on a folder, its fakes, and a clock that stands."""

    def __init__(self, folder, now):
        self.folder, self.time = folder, now
        self.whereabouts, self.reporter = FakeWhereabouts(), FakeReporter()
        self.peers = {"CT1": "an address"}
        self.services = []

    def start(self, **terms):
        patience = Patience(wait_s=100, unknown_wait_s=10)
        service = CommitmentService(
            Transactions(self.folder),
            self.whereabouts,
            Courier(self.reporter, self.peers, report_s=1000, clock=lambda: 1e12),
            Terms(patience, timedelta(days=1)),
            now=lambda: self.time,
            **terms,
        )
        service.start()
        self.services.append(service)
        return service

    def files(self):
        names = {path.name.split(".", 1)[1] for path in self.folder.iterdir()}
        return sorted(name for name in names if not name.endswith(".part"))


@pytest.fixture
def parts(tmp_path, make, monkeypatch):
    monkeypatch.setattr(service_module, "_AFTER_TROUBLE_S", 0.01)
    monkeypatch.setattr(service_module, "next_look_s", lambda age_s: 0.01)
    made = Parts(tmp_path / "w0" / "commitment", make.NOW)
    yield made
    for service in made.services:
        service.stop(1)


def ask(service, request, association):
    response = service.action(request, association)
    if response.after is not None:
        response.after()
    return response


def test_success_means_that_the_request_is_on_the_volume(parts, make, association):
    service = parts.start()
    response = service.action(make.request(), association)
    assert response.status == 0
    assert parts.files() == ["asked.json"]
    assert not association.reports


def test_all_committed_is_reported_by_the_association(parts, make, association):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    service = parts.start()
    assert ask(service, make.request(), association).status == 0
    eventually(lambda: service.waiting() == 0)
    (report,) = association.reports
    assert report.event_type_id == 1
    assert parts.files() == ["ended.json"]


def test_instances_are_waited_for_and_fail_for_their_own_reason(
    parts, make, association
):
    pairs = [(make.CT, f"1.2.{n}") for n in range(4)]
    parts.whereabouts.findings = {
        "1.2.0": Finding.COMMITTED,
        "1.2.1": Finding.PENDING,
        "1.2.3": Finding.CONFLICT,
    }
    association.alive = False
    service = parts.start()
    ask(service, make.request(pairs), association)
    parts.time += timedelta(seconds=50)
    assert not parts.reporter.sent
    parts.time += timedelta(seconds=50)
    eventually(lambda: parts.reporter.sent)
    ((_, kind, report),) = parts.reporter.sent
    assert kind == 2
    assert [i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence] == [
        "1.2.0"
    ]
    assert {
        item.ReferencedSOPInstanceUID: item.FailureReason
        for item in report.FailedSOPSequence
    } == {"1.2.1": 0x0110, "1.2.2": 0x0112, "1.2.3": 0x0119}


def test_a_search_that_goes_on_is_looked_at_again_at_once(
    parts, make, association, monkeypatch
):
    monkeypatch.setattr(service_module, "next_look_s", lambda age_s: 1e6)
    parts.whereabouts.unfinished = 2
    service = parts.start()
    ask(service, make.request(), association)
    eventually(lambda: parts.whereabouts.unfinished == 0)
    assert service.waiting() == 1


def test_an_instance_that_reaches_s3_later_is_committed(parts, make, association):
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    ask(service, make.request(), association)
    parts.time += timedelta(seconds=90)
    assert service.waiting() == 1
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    eventually(lambda: association.reports)
    assert association.reports[0].event_type_id == 1


@pytest.mark.parametrize("decided", [False, True])
def test_a_restart_goes_on_where_it_was(parts, make, association, decided):
    parts.whereabouts.findings = {
        "1.2.4": Finding.COMMITTED if decided else Finding.PENDING
    }
    parts.reporter.away = True
    association.status = None  # the peer is gone when it is to be told
    service = parts.start()
    ask(service, make.request(), association)
    if decided:
        eventually(lambda: parts.files() == ["decided.json"])
    service.stop(1)
    parts.reporter.away = False
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    again = parts.start()
    eventually(lambda: again.waiting() == 0)
    ((_, kind, _),) = parts.reporter.sent
    assert kind == 1


def test_the_same_request_again_is_the_same_transaction(parts, make, association):
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    association.alive = True
    other = make.association()
    ask(service, make.request(), association)
    ask(service, make.request(), other)
    assert service.waiting() == 1
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    eventually(lambda: association.reports and other.reports)
    eventually(lambda: service.waiting() == 0)
    ask(service, make.request(), other)  # once more, after it has ended
    eventually(lambda: len(other.reports) == 2)


def test_a_transaction_uid_for_other_instances_fails_as_a_duplicate(
    parts, make, association
):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED, "1.2.5": "committed"}
    service = parts.start()
    ask(service, make.request(), association)
    eventually(lambda: len(association.reports) == 1)
    other = make.request([(make.CT, "1.2.5")])
    for count in (2, 3):  # it does not become right by asking again
        assert ask(service, other, association).status == 0
        eventually(lambda count=count: len(association.reports) == count)
        report = association.reports[-1]
        assert report.event_type_id == 2
        assert b"\x31\x01" in report.information
    ask(service, make.request(), association)  # and what was right stays right
    eventually(lambda: len(association.reports) == 4)
    assert association.reports[-1].event_type_id == 1


def test_another_ae_title_may_use_the_same_transaction_uid(parts, make, association):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED, "1.2.5": "committed"}
    service = parts.start()
    ask(service, make.request(), association)
    peer = type(make.PEER)("192.0.2.8", 1, "MR1", "S3SCP", None)
    other = make.association(peer=peer)
    ask(service, make.request([(make.CT, "1.2.5")], peer=peer), other)
    eventually(lambda: other.reports and association.reports)
    assert other.reports[0].event_type_id == 1


def test_nobody_to_tell_ends_a_transaction(parts, make, association, caplog):
    parts.peers = {}
    association.alive = False
    service = parts.start()
    ask(service, make.request(), association)
    eventually(lambda: service.waiting() == 0)
    assert parts.files() == ["ended.json"]
    assert "no address" in caplog.text


def test_trouble_with_the_volume_is_tried_again(parts, make, association):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    parts.whereabouts.fail = 2
    service = parts.start()
    ask(service, make.request(), association)
    eventually(lambda: association.reports)
    assert service.alive()


def test_a_volume_that_takes_nothing_refuses(parts, make, association, monkeypatch):
    service = parts.start()

    def full(transaction):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service._transactions, "keep", full)
    response = service.action(make.request(), association)
    assert response.status == 0x0110
    assert response.after is None
    assert service.waiting() == 0


def test_too_many_requests_are_refused(parts, make, association, monkeypatch):
    monkeypatch.setattr(service_module, "_MOST_REFERENCES", 3)
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    assert ask(service, make.request(), association).status == 0
    pairs = [(make.CT, f"1.3.{n}") for n in range(3)]
    refused = service.action(make.request(pairs, "1.2.99"), association)
    assert refused.status == 0x0213


def test_what_is_no_request_is_refused_and_not_kept(parts, make, association, caplog):
    service = parts.start()
    response = service.action(make.request(information=b"DOE^JANE"), association)
    assert response.status == 0x0115
    assert parts.files() == []
    assert "DOE" not in caplog.text


def test_transactions_of_workers_that_are_gone_are_reported_too(
    parts, make, association, tmp_path
):
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    parts.folder = tmp_path / "w1" / "commitment"
    gone = parts.start()
    ask(gone, make.request(), association)
    gone.stop(1)
    left, parts.folder = parts.folder, tmp_path / "w0" / "commitment"
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    service = parts.start(inherited=[left])
    eventually(lambda: parts.reporter.sent and not service.waiting())
    assert list(left.iterdir()) == []


def test_many_ask_at_once(parts, make):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    service = parts.start()
    associations = [make.association() for _ in range(8)]

    def run(number, association):
        for each in range(5):
            request = make.request(transaction_uid=f"1.2.3.{number}.{each}")
            assert ask(service, request, association).status == 0

    threads = [
        threading.Thread(target=run, args=item) for item in enumerate(associations)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: service.waiting() == 0)
    assert [len(a.reports) for a in associations] == [5] * 8


def test_what_is_too_large_is_refused_and_told(parts, make, association, caplog):
    service = parts.start()
    request = make.request(information=bytes(MAX_INFORMATION_BYTES + 1))
    assert service.action(request, association).status == 0x0213
    (record,) = caplog.records
    assert (record.calling_ae, record.dicom_status) == ("CT1", "0213")


def test_nothing_is_decided_while_it_stops(parts, make, association, monkeypatch):
    """The index is closed then, and knows of no instance."""
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    ask(service, make.request(), association)
    service.stop(5)
    looking, closed = threading.Event(), threading.Event()

    def look(references, asked_at, search):
        looking.set()
        assert closed.wait(5)
        return {r.sop_instance_uid: Finding.UNKNOWN for r in references}

    monkeypatch.setattr(parts.whereabouts, "look", look)
    monkeypatch.setattr(parts.whereabouts, "close", closed.set)
    parts.time += timedelta(seconds=1000)
    again = parts.start()
    assert looking.wait(5)
    again.stop(5)
    assert parts.files() == ["asked.json"]


def test_asked_a_thousand_times_it_is_reported_once_on_an_association(
    parts, make, association
):
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    for _ in range(1_000):
        assert ask(service, make.request(), association).status == 0
    (opened,) = service._open.values()
    assert len(opened.delivery.routes) == 1
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    eventually(lambda: service.waiting() == 0)
    assert len(association.reports) == 1


def test_one_peer_does_not_take_all_the_room(parts, make, association, monkeypatch):
    monkeypatch.setattr(service_module, "_MOST_TRANSACTIONS", 4)
    parts.whereabouts.findings = {"1.2.4": Finding.PENDING}
    service = parts.start()
    answers = [
        ask(service, make.request(transaction_uid=f"1.2.{n}"), association).status
        for n in range(3)
    ]
    assert answers == [0, 0, 0x0213]
    peer = type(make.PEER)("192.0.2.8", 1, "MR1", "S3SCP", None)
    other = make.association(peer=peer)
    assert ask(service, make.request(peer=peer), other).status == 0


def test_a_peer_that_hangs_does_not_hold_up_the_reports_of_others(parts, make):
    parts.whereabouts.findings = {"1.2.4": Finding.COMMITTED}
    service = parts.start()
    let_go = threading.Event()

    class Hanging(type(make.association())):
        def send_event_report(self, report, timeout_s):
            let_go.wait(10)
            return 0

    for number in range(6):
        request = make.request(transaction_uid=f"1.2.3.{number}")
        ask(service, request, Hanging())
    peer = type(make.PEER)("192.0.2.8", 1, "MR1", "S3SCP", None)
    other = make.association(peer=peer)
    ask(service, make.request(peer=peer), other)
    try:
        eventually(lambda: other.reports and service.waiting() == 6)
    finally:
        let_go.set()
    eventually(lambda: service.waiting() == 0)
