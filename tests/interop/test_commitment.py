"""Orthanc sends, asks for storage commitment, and is told on a port of its own."""

import json

import pytest
from faults.storescp.service import Service
from interop.orthanc import rest, serving
from pynetdicom.sop_class import CTImageStorage
from support.instances import ct, eventually
from support.ports import free_port
from support.s3_sink import S3Sink

ABSENT = "1.2.3.4.5.6.7"


@pytest.mark.timeout(180)
def test_orthanc_is_told_what_is_in_s3_and_what_is_not(tmp_path):
    dataset, reports_to = ct(), free_port()
    dataset.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with S3Sink() as s3:
        service = Service(
            tmp_path / "scp",
            s3,
            workers=2,
            commitment_peers=json.dumps({"ORTHANC": f"127.0.0.1:{reports_to}"}),
            commitment_unknown_wait_s=1,
        ).start()
        with serving(
            tmp_path / "orthanc",
            DicomAet="ORTHANC",
            DicomPort=reports_to,
            DicomModalities={"scp": ["S3SCP", "127.0.0.1", service.port]},
        ) as url:
            sent = rest(f"{url}/instances", (tmp_path / "ct.dcm").read_bytes())
            rest(f"{url}/modalities/scp/store", sent["ID"].encode())
            references = [
                {"SOPClassUID": CTImageStorage, "SOPInstanceUID": uid}
                for uid in (dataset.SOPInstanceUID, ABSENT)
            ]
            asked = rest(
                f"{url}/modalities/scp/storage-commitment",
                json.dumps({"DicomInstances": references}).encode(),
            )

            def told():
                found = rest(f"{url}/storage-commitment/{asked['ID']}")
                return found if found["Status"] != "Pending" else None

            report = eventually(told, 60)
        assert service.stop() == 0
        assert not service.unexpected()
    assert report["RemoteAET"] == "S3SCP"
    assert [i["SOPInstanceUID"] for i in report["Success"]] == [dataset.SOPInstanceUID]
    assert [(i["SOPInstanceUID"], i["FailureReason"]) for i in report["Failures"]] == [
        (ABSENT, 0x0112)
    ]
