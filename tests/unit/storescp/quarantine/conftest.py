"""A quarantine in an S3 that is in memory."""

import hashlib
import io
import json

import pytest
from botocore.exceptions import ClientError
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct

from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.quarantine.objects import QuarantineObjects
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.upload.uploader import Uploader


class MemoryS3:
    """Objects in memory; a call can be made to fail once."""

    def __init__(self):
        self.objects = {}
        self.calls = []
        self.die_at = None

    def _called(self, name, key):
        self.calls.append((name, key))
        if self.die_at is not None and len(self.calls) > self.die_at:
            raise KeyboardInterrupt  # as a kill: nothing of ours runs any more

    def put_object(self, **request):
        body, key = request["Body"], request["Key"]
        self._called("put", key)
        self.objects[key] = body if isinstance(body, bytes) else body.read()

    def get_object(self, **request):
        key = request["Key"]
        self._called("get", key)
        if key not in self.objects:
            raise self.missing("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[key])}

    def download_fileobj(self, _bucket, key, file, **_):
        file.write(self.get_object(Key=key)["Body"].read())

    def head_object(self, **request):
        key = request["Key"]
        self._called("head", key)
        if key not in self.objects:
            raise self.missing("404")

    def delete_object(self, **request):
        key = request["Key"]
        self._called("delete", key)
        self.objects.pop(key, None)

    def get_paginator(self, _name):
        return self

    def paginate(self, **request):
        prefix = request["Prefix"]
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        for key in keys:  # a page each
            yield {"Contents": [{"Key": key, "Size": len(self.objects[key])}]}
        yield {}

    @staticmethod
    def missing(code):
        return ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 404}},
            "Get",
        )


@pytest.fixture
def s3():
    return MemoryS3()


@pytest.fixture
def uploader(s3):
    return Uploader(s3, multipart_bytes=1 << 30)


@pytest.fixture
def objects(uploader, tmp_path):
    destination = Destination(
        bucket="inbox",
        datastore="0123456789abcdef0123456789abcdef",
        dicom_prefix="DICOM/",
        batches_prefix="batches/",
        gzip=True,
    )
    return QuarantineObjects(
        uploader, destination, prefix="quarantine/", folder=tmp_path
    )


@pytest.fixture
def put_aside(s3):
    """Puts an instance into the quarantine; answers its name."""

    def put(reason="mismatch", dataset=None, *, content=None, said="1.2.3.4", **record):
        dataset = dataset or ct()
        data_set = content
        if data_set is None:
            data_set = encode(dataset, is_implicit_vr=False, is_little_endian=True)
        header = part10_header(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=said,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        body = header + data_set
        sha256 = hashlib.sha256(body).hexdigest()
        document = {
            "schema": 1,
            "reason": reason,
            "sha256": sha256,
            "bytes": len(body),
            "quarantinedAt": "2026-11-23T12:00:00.5+00:00",
            "callingAE": "CT1",
            "peer": "10.0.0.7",
            "status": "A900",
        }
        name = f"{reason}/{sha256}"
        s3.objects[f"quarantine/{name}.dcm"] = body
        s3.objects[f"quarantine/{name}.json"] = json.dumps(document | record).encode()
        return name

    return put
