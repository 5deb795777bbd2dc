"""The whole service with its own index and associations, asked by pynetdicom."""

import hashlib
import queue
import socket
import threading

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from support.instances import eventually

from isocenter.storescp.association.negotiation import Acceptance, negotiate
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.association.server import AssociationServer
from isocenter.storescp.commitment.assembly import build
from isocenter.storescp.dimse.dispatch import Services
from isocenter.storescp.peers import AllowedPeer, Caller
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.store.index import Index, Known

UID = "1.2.4"


def whole_pdu(sock):
    header = sock.recv(6, socket.MSG_WAITALL)
    length = int.from_bytes(header[2:], "big")
    return header + sock.recv(length, socket.MSG_WAITALL)


@pytest.fixture
def index(tmp_path):
    made = Index(tmp_path / "index.sqlite")
    yield made
    made.close()


@pytest.fixture
def stored(index, s3, make):
    """Say that an instance was acknowledged and is in S3."""

    def store(uid=UID, body=b"a file"):
        key = f"DICOM/b1/{uid}.dcm"
        s3.put(key, body)
        digest = hashlib.sha256(body).hexdigest()
        index.record(Known(uid, digest, make.CT, make.BUCKET, key, "b1"))

    return store


@pytest.fixture
def start(tmp_path, s3, index, make):
    """Start the SCP with settings for commitment; answers its port and the service."""
    threads, services, listeners = [], [], []
    patience = Patience(idle_s=5.0, message_s=5.0, pdu_s=5.0, send_s=5.0)

    def run(**settings):
        found = StoreScpSettings(
            bucket=make.BUCKET, datastore_id="0" * 32, scp_port=11112, **settings
        )
        (tmp_path / "w0").mkdir(exist_ok=True)
        service = build(found, tmp_path / "w0", index, s3)
        service.start()
        services.append(service)
        listening = socket.create_server(("127.0.0.1", 0))
        listeners.append(listening)
        acceptance = Acceptance(frozenset("*"), [AllowedPeer(aeTitle="*")])
        server = AssociationServer(Services(None, service), patience, Registry())

        def serve():
            while True:
                try:
                    sock, address = listening.accept()
                except OSError:
                    return
                caller = Caller(address[0])
                agreed = negotiate(whole_pdu(sock), acceptance, caller, address[1])
                sock.sendall(agreed.answer)
                server.serve(sock, agreed)

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return listening.getsockname()[1], service

    yield run
    for listening in listeners:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
    for thread in threads:
        thread.join(10)
    for service in services:
        service.stop(1)


@pytest.fixture
def modality():
    """A modality that asks, and takes reports: also on a port of its own."""
    reports, servers, associations = queue.Queue(), [], []

    def reported(event):
        where = "own" if event.assoc.is_requestor else "ours"
        reports.put((where, event.request.EventTypeID, event.event_information))
        return 0x0000, None

    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    entity = AE("CT1")
    entity.add_requested_context(StorageCommitmentPushModel)
    entity.add_supported_context(
        StorageCommitmentPushModel, scu_role=True, scp_role=True
    )

    class Modality:
        @staticmethod
        def listen():
            server = entity.start_server(
                ("127.0.0.1", 0), block=False, evt_handlers=handlers
            )
            servers.append(server)
            return server.socket.getsockname()[1]

        @staticmethod
        def associate(port):
            assoc = entity.associate(
                "127.0.0.1", port, ae_title="STORE", evt_handlers=handlers
            )
            assert assoc.is_established
            associations.append(assoc)
            return assoc

        @staticmethod
        def ask(assoc, information):
            status, _ = assoc.send_n_action(
                information,
                1,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
            return status.Status

        @staticmethod
        def report():
            return reports.get(timeout=5)

    yield Modality
    for assoc in associations:
        if assoc.is_established:
            assoc.release()
    for server in servers:
        server.shutdown()


def test_a_modality_that_waits_gets_its_report_there(
    start, modality, stored, make, monkeypatch
):
    stored()
    port, service = start()
    assoc = modality.associate(port)
    assert modality.ask(assoc, make.information([(make.CT, UID)])) == 0
    where, kind, report = modality.report()
    assert (where, kind) == ("own", 1)
    assert report.TransactionUID == "1.2.3"
    assert [i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence] == [UID]
    eventually(lambda: service.waiting() == 0)


def test_a_modality_that_releases_is_called(start, modality, stored, make):
    stored()
    port, service = start(
        commitment_peers={"CT1": f"127.0.0.1:{modality.listen()}"},
        commitment_unknown_wait_s=0,
    )
    assoc = modality.associate(port)
    pairs = [(make.CT, UID), (make.CT, "1.2.99")]
    assert modality.ask(assoc, make.information(pairs)) == 0
    assoc.release()
    where, kind, report = modality.report()
    assert (where, kind) == ("ours", 2)
    assert [i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence] == [UID]
    ((failed,),) = [report.FailedSOPSequence]
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.99", 0x0112)
    eventually(lambda: service.waiting() == 0)


def test_what_can_not_be_answered_is_refused_and_the_association_goes_on(
    start, modality, stored, make
):
    stored()
    port, _ = start()
    assoc = modality.associate(port)
    assert modality.ask(assoc, make.information(None)) == 0x0115
    assert modality.ask(assoc, make.information([(make.CT, UID)])) == 0
    assert modality.report()[1] == 1


def test_off_means_that_there_is_no_service(tmp_path, index, s3, make):
    settings = StoreScpSettings(
        bucket=make.BUCKET, datastore_id="0" * 32, scp_port=11112, commitment="off"
    )
    assert build(settings, tmp_path, index, s3) is None


def test_the_first_worker_takes_over_from_those_that_are_no_more(
    tmp_path, index, s3, make
):
    for number in range(4):
        (tmp_path / f"w{number}" / "commitment").mkdir(parents=True)
    settings = StoreScpSettings(
        bucket=make.BUCKET, datastore_id="0" * 32, scp_port=11112, workers=2
    )
    taken = {}
    for number in range(2):
        service = build(settings, tmp_path / f"w{number}", index, s3)
        taken[number] = {folder.parent.name for folder in service._inherited}
        service.stop(0.1)
    assert taken == {0: {"w2", "w3"}, 1: set()}
