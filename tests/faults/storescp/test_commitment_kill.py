"""kill -9 of the real process: an accepted request for commitment is answered."""

import json
import os
import queue
import signal

import pytest
from faults.storescp.service import Service
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from support.instances import ct, eventually
from support.s3_sink import S3Sink

ABSENT = "1.2.3.4.5.6.7"


@pytest.fixture
def modality():
    """Sends and asks, and is told on a port of its own."""
    reports = queue.Queue()

    def reported(event):
        reports.put((event.request.EventTypeID, event.event_information))
        return 0x0000, None

    entity = AE("CT1")
    entity.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
    entity.add_requested_context(StorageCommitmentPushModel)
    entity.add_supported_context(
        StorageCommitmentPushModel, scu_role=True, scp_role=True
    )
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)],
    )
    entity.reports = reports
    entity.port = server.socket.getsockname()[1]
    yield entity
    server.shutdown()


def send_and_ask(modality, port, dataset):
    """C-STORE of an instance, then N-ACTION for it and for one that never was."""
    assoc = modality.associate("127.0.0.1", port, ae_title="S3SCP")
    assert assoc.is_established
    assert assoc.send_c_store(dataset).Status == 0
    information = Dataset()
    information.TransactionUID = "1.2.3"
    information.ReferencedSOPSequence = []
    for uid in (dataset.SOPInstanceUID, ABSENT):
        item = Dataset()
        item.ReferencedSOPClassUID = CTImageStorage
        item.ReferencedSOPInstanceUID = uid
        information.ReferencedSOPSequence.append(item)
    status, _ = assoc.send_n_action(
        information, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == 0
    return assoc


@pytest.mark.timeout(180)
def test_an_accepted_request_survives_kills_and_is_answered_from_s3(tmp_path, modality):
    dataset = ct()
    with S3Sink() as s3:
        service = Service(
            tmp_path,
            s3,
            commitment_peers=json.dumps({"CT1": f"127.0.0.1:{modality.port}"}),
            commitment_unknown_wait_s=1,
        )
        s3.faults(away=True)
        service.start()
        assoc = send_and_ask(modality, service.port, dataset)
        for _ in range(2):  # nothing can be decided: S3 is away
            os.kill(service.process.pid, signal.SIGKILL)
            assert service.process.wait(10) == -signal.SIGKILL
            service.start()
        assoc.abort()
        assert modality.reports.empty()
        s3.faults()
        kind, report = modality.reports.get(timeout=60)
        assert kind == 2
        (committed,) = report.ReferencedSOPSequence
        assert committed.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
        (failed,) = report.FailedSOPSequence
        assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (
            ABSENT,
            0x0112,
        )
        stored = [name for name in s3.objects() if name.endswith(".dcm")]
        assert [name.rpartition("/")[2] for name in stored] == [
            f"{dataset.SOPInstanceUID}.dcm"
        ]
        ended = service.spool / "w0" / "commitment"
        eventually(lambda: [p.name.split(".")[1] for p in ended.iterdir()] == ["ended"])
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait(10)
        service.start()  # and is not told twice
        assert service.stop() == 0
        assert modality.reports.empty()
        assert not service.unexpected()
