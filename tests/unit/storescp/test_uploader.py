"""The boto3 edge, against botocore's own model."""

import base64
import hashlib

import boto3
import pytest
from botocore.stub import ANY, Stubber

from isocenter.core.errors import BusyError, DeniedError, UnavailableError
from isocenter.storescp.uploader import Uploader


@pytest.fixture
def client():
    return boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "1.2.dcm"
    path.write_bytes(b"an instance")
    return path


SHA = hashlib.sha256(b"an instance").hexdigest()


def test_an_instance_goes_with_its_checksum(client, file):
    with Stubber(client) as stub:
        stub.add_response(
            "put_object",
            {},
            {
                "Bucket": "inbox",
                "Key": "DICOM/b/1.2.dcm",
                "Body": ANY,
                "ContentLength": 11,
                "ContentType": "application/dicom",
                "ChecksumSHA256": base64.b64encode(bytes.fromhex(SHA)).decode(),
            },
        )
        uploader = Uploader(client, multipart_bytes=1000)
        uploader.put_instance("inbox", "DICOM/b/1.2.dcm", file, SHA)
        stub.assert_no_pending_responses()


def test_a_large_instance_goes_in_parts_each_with_a_checksum(client, tmp_path):
    size = 5 * 1024 * 1024
    path = tmp_path / "large.dcm"
    path.write_bytes(bytes(size + 10))
    with Stubber(client) as stub:
        stub.add_response(
            "create_multipart_upload",
            {"UploadId": "u"},
            {
                "Bucket": "inbox",
                "Key": "k",
                "ChecksumAlgorithm": "SHA256",
                "ContentType": "application/dicom",
            },
        )
        for number in (1, 2):
            stub.add_response(
                "upload_part",
                {"ETag": f"e{number}", "ChecksumSHA256": "c"},
                {
                    "Bucket": "inbox",
                    "Key": "k",
                    "UploadId": "u",
                    "PartNumber": number,
                    "Body": ANY,
                    "ChecksumAlgorithm": "SHA256",
                },
            )
        stub.add_response("complete_multipart_upload", {}, None)
        Uploader(client, multipart_bytes=size).put_instance("inbox", "k", path, SHA)
        stub.assert_no_pending_responses()


def test_a_document_goes_with_its_checksum(client):
    content = b'{"schema":1}'
    with Stubber(client) as stub:
        stub.add_response(
            "put_object",
            {},
            {
                "Bucket": "inbox",
                "Key": "batches/b.json",
                "Body": content,
                "ContentType": "application/json",
                "ChecksumSHA256": base64.b64encode(
                    hashlib.sha256(content).digest()
                ).decode(),
            },
        )
        Uploader(client, multipart_bytes=1000).put_document(
            "inbox", "batches/b.json", content
        )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, DeniedError),
        ("SlowDown", 503, BusyError),
        ("InternalError", 500, UnavailableError),
    ],
)
def test_errors_are_translated_and_name_the_object(
    client, file, code, status, expected
):
    with Stubber(client) as stub:
        stub.add_client_error("put_object", code, "words", status)
        with pytest.raises(expected, match="s3://inbox/k"):
            Uploader(client, multipart_bytes=1000).put_instance("inbox", "k", file, SHA)
