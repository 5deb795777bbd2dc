"""Requests for commitment, an S3 in memory, an index, and associations that note."""

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.commitment.report import encode
from isocenter.storescp.commitment.standard import (
    REQUEST_ACTION,
    SOP_CLASS,
    SOP_INSTANCE,
)
from isocenter.storescp.dimse.service import ActionRequest, AssociationEndedError

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
BUCKET = "a-bucket"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PEER = Peer("192.0.2.7", 40000, "CT1", "S3SCP", None)


def action_information(pairs, transaction_uid="1.2.3"):
    dataset = Dataset()
    if transaction_uid is not None:
        dataset.TransactionUID = transaction_uid
    if pairs is not None:
        items = []
        for sop_class, instance in pairs:
            item = Dataset()
            item.ReferencedSOPClassUID = sop_class
            item.ReferencedSOPInstanceUID = instance
            items.append(item)
        dataset.ReferencedSOPSequence = items
    return dataset


def action_request(
    pairs=((CT, "1.2.4"),),
    transaction_uid="1.2.3",
    *,
    syntax=ExplicitVRLittleEndian,
    information=None,
    **changed,
):
    if information is None:
        information = encode(action_information(pairs, transaction_uid), syntax)
    fields = {
        "sop_class_uid": SOP_CLASS,
        "sop_instance_uid": SOP_INSTANCE,
        "action_type_id": REQUEST_ACTION,
        "transfer_syntax_uid": str(syntax),
        "information": information,
        "context_id": 5,
        "peer": PEER,
    }
    return ActionRequest(**(fields | changed))


class FakeS3:
    """Objects in memory, with S3's own SHA-256 of each."""

    def __init__(self):
        self.objects = {}
        self.asked = []
        self.away = False
        self.page = 1000

    def put(self, key, body, bucket=BUCKET):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.objects[bucket, key] = body

    def _object(self, operation, request):
        self.asked.append((operation, request["Key"]))
        self._answer()
        try:
            return self.objects[request["Bucket"], request["Key"]]
        except KeyError:
            error = {
                "Error": {"Code": "404", "Message": "Not Found"},
                "ResponseMetadata": {"HTTPStatusCode": 404},
            }
            raise ClientError(error, operation) from None

    def _answer(self):
        if self.away:
            raise EndpointConnectionError(endpoint_url="https://s3.invalid")

    def head_object(self, **request):
        assert request["ChecksumMode"] == "ENABLED"
        digest = hashlib.sha256(self._object("HeadObject", request)).digest()
        return {"ChecksumSHA256": base64.b64encode(digest).decode()}

    def get_object(self, **request):
        return {"Body": io.BytesIO(self._object("GetObject", request))}

    def list_objects_v2(self, **request):
        self.asked.append(("ListObjectsV2", request["Prefix"]))
        self._answer()
        after = request.get("ContinuationToken") or request.get("StartAfter", "")
        keys = sorted(
            key
            for bucket, key in self.objects
            if bucket == request["Bucket"]
            and key.startswith(request["Prefix"])
            and key > after
        )
        page = keys[: self.page]
        answer = {"Contents": [{"Key": key} for key in page]}
        if len(keys) > len(page):
            answer |= {"IsTruncated": True, "NextContinuationToken": page[-1]}
        return answer


@pytest.fixture
def s3():
    return FakeS3()


class FakeIndex:
    """Rows by SOP Instance UID."""

    def __init__(self):
        self.rows = {}

    def versions(self, sop_instance_uid):
        return self.rows.get(sop_instance_uid, [])

    def add(
        self,
        uid,
        body=b"a file",
        *,
        state="stored",
        sop_class=CT,
        batch="b1",
        place="",
        aside=False,
    ):
        row = SimpleNamespace(
            time=len(self.rows.get(uid, [])),
            object_sha256="",
            sop_instance_uid=uid,
            sop_class_uid=sop_class,
            sha256=hashlib.sha256(body).hexdigest(),
            bucket=BUCKET,
            key=f"DICOM/{batch}/{uid}.dcm",
            batch=batch,
            state=state,
            place=place,
        )
        if aside:
            row.key, row.sop_class_uid = "", ""
        self.rows.setdefault(uid, []).append(row)
        return row


@pytest.fixture
def index():
    return FakeIndex()


@dataclass
class FakeAssociation:
    """An association that notes the reports it was given."""

    peer: Peer = PEER
    alive: bool = True
    status: int | None = 0

    def __post_init__(self):
        self.reports = []

    def send_event_report(self, report, timeout_s):
        assert timeout_s > 0
        self.reports.append(report)
        if self.status is None:
            raise AssociationEndedError("the association ended")
        return self.status


@pytest.fixture
def association():
    return FakeAssociation()


def manifest(batch, *instances):
    """A batch manifest's document; instances are (SOP class, UID, body)."""
    return {
        "schema": 1,
        "batch": batch,
        "instances": [
            {
                "key": f"DICOM/{batch}/{uid}.dcm",
                "sopInstanceUid": uid,
                "sopClassUid": sop_class,
                "sha256": hashlib.sha256(body).hexdigest(),
            }
            for sop_class, uid, body in instances
        ],
    }


@pytest.fixture
def make():
    """The makers of this file, for tests that can't import it."""
    return SimpleNamespace(
        request=action_request,
        information=action_information,
        manifest=manifest,
        association=FakeAssociation,
        CT=CT,
        MR=MR,
        NOW=NOW,
        BUCKET=BUCKET,
        PEER=PEER,
    )
