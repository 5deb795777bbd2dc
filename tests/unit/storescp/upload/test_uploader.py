"""Puts against a local S3 that compares both digests with the body."""

import hashlib
import os
from dataclasses import replace

import boto3
import pytest
from botocore.stub import ANY, Stubber

from isocenter.core.errors import (
    BusyError,
    DeniedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from isocenter.storescp.upload.direct import DirectPut, FilePut, base64_of
from isocenter.storescp.upload.routes import Routes
from isocenter.storescp.upload.uploader import Uploader, wait_s


def test_the_first_object_shows_the_way_and_the_others_take_it(
    sink, uploader, direct, file
):
    contents = [os.urandom(n) for n in (1, 300_000, 0, 70_000)]
    for n, content in enumerate(contents):
        path, sha256 = file(content, f"{n}.dcm")
        uploader.put_file(FilePut("inbox", f"DICOM/b/ä {n}+~.dcm", path, sha256))
    assert direct.sent == 3
    assert sorted(sink.objects().values()) == sorted(
        (len(content), hashlib.sha256(content).hexdigest()) for content in contents
    )
    assert sink.get("inbox/DICOM/b/%C3%A4%201%2B~.dcm") == contents[1]
    assert sink.stats()["bad_digests"] == 0


def test_connections_are_kept(sink, uploader, file):
    put = FilePut("inbox", "k", *file(b"an instance"))
    uploader.put_file(put)
    uploader.put_file(put)
    before = sink.stats()["connections"]
    for _ in range(20):
        uploader.put_file(put)
    assert sink.stats()["connections"] <= before + 1  # that of stats()


def test_another_file_than_was_received_is_refused(sink, uploader, file):
    path, sha256 = file(b"an instance")
    uploader.put_file(FilePut("inbox", "before", path, sha256))
    path.write_bytes(b"an instancf")
    with pytest.raises(RefusedError, match="s3://inbox/k"):
        uploader.put_file(FilePut("inbox", "k", path, sha256))
    assert list(sink.objects()) == ["inbox/before"]


def test_torn_connections_and_single_503s_are_overcome(sink, uploader, direct, file):
    content = os.urandom(200_000)
    path, sha256 = file(content)
    uploader.put_file(FilePut("inbox", "first", path, sha256))
    sink.faults(share_503=0.1, share_torn=0.15)
    for n in range(60):
        uploader.put_file(FilePut("inbox", f"{n}", path, sha256))
    sink.faults()
    assert direct.sent == 60
    assert sink.stats()["torn"] >= 3
    assert sink.stats()["answered_503"] >= 3
    assert set(sink.objects().values()) == {(len(content), sha256)}


def test_who_has_other_work_hears_at_once_that_s3_is_busy(sink, client, direct, file):
    waits = []
    uploader = Uploader(
        client, multipart_bytes=5 << 20, direct=direct, sleep=waits.append
    )
    put = FilePut("inbox", "k", *file(b"an instance"))
    uploader.put_file(put)
    sink.faults(away=True)
    with pytest.raises(BusyError, match="s3://inbox/k"):
        uploader.put_file(put, patient=False)
    assert not waits
    with pytest.raises(BusyError):
        uploader.put_file(put)
    assert len(waits) == 3


def test_an_endpoint_that_is_gone_is_unavailable(sink, uploader, direct, file):
    put = FilePut("inbox", "k", *file(b"an instance"))
    uploader.put_file(put)
    route = direct.routes.of("inbox")
    direct.close()
    direct.routes._known["inbox"] = replace(route, port=1)
    with pytest.raises(UnavailableError, match=r"no connection to 127\.0\.0\.1 port 1"):
        uploader.put_file(put)


def test_a_denied_put_is_reported_by_botocore_s_error(sink, uploader, file):
    put = FilePut("inbox", "k", *file(b"an instance"))
    uploader.put_file(put)
    sink.faults(forbidden=True)
    with pytest.raises(DeniedError, match="AccessDenied"):
        uploader.put_file(put)


def test_a_route_that_s3_does_not_want_is_learned_again_then_given_up(
    sink, uploader, direct, file, monkeypatch, caplog
):
    put = FilePut("inbox", "k", *file(b"an instance"))
    uploader.put_file(put)
    monkeypatch.setattr(
        "isocenter.storescp.upload.direct.put_head",
        lambda *_, **__: (
            b"PUT /inbox/k HTTP/1.1\r\nx-amz-checksum-sha256: AAAA\r\n"
            b"content-length: 11\r\n\r\n"
        ),
    )
    uploader.put_file(put)
    assert direct.routes.of("inbox") is not None
    uploader.put_file(put)
    assert direct.routes.of("inbox") is None
    assert "boto3 only" in caplog.text
    uploader.put_file(put)
    assert direct.sent == 0
    assert sink.stats()["altered"] == 0


def test_a_missing_file_is_the_volume_s_error(uploader, tmp_path):
    with pytest.raises(FileNotFoundError):
        uploader.put_file(FilePut("inbox", "k", tmp_path / "none", "0" * 64))


def test_large_files_go_in_parts(sink, uploader, direct, file):
    content = os.urandom(6 << 20)
    path, sha256 = file(content)
    uploader.put_file(FilePut("inbox", "large", path, sha256))
    assert direct.sent == 0
    assert sink.stats()["methods"]["POST"] >= 2
    [(size, _)] = sink.objects().values()
    assert size == len(content)


def test_documents_listing_reading_and_deleting(sink, uploader, tmp_path):
    uploader.put_document("inbox", "a/1.json", b"{}")
    uploader.put_document("inbox", "b/2.json", b"[]")
    assert uploader.has("inbox", "a/1.json")
    assert not uploader.has("inbox", "a/2.json")
    assert [o.key for o in uploader.list_objects("inbox", "a/")] == ["a/1.json"]
    assert uploader.read("inbox", "a/1.json") == b"{}"
    uploader.fetch("inbox", "b/2.json", tmp_path / "2")
    assert (tmp_path / "2").read_bytes() == b"[]"
    uploader.delete("inbox", "a/1.json")
    uploader.delete("inbox", "a/1.json")
    with pytest.raises(NotFoundError, match=r"a/1\.json"):
        uploader.read("inbox", "a/1.json")


def test_without_a_direct_way_boto3_sends_the_checksum(file):
    s3 = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    path, sha256 = file(b"an instance")
    with Stubber(s3) as stub:
        stub.add_response(
            "put_object",
            {},
            {
                "Bucket": "inbox",
                "Key": "k",
                "Body": ANY,
                "ContentLength": 11,
                "ContentType": "application/dicom",
                "ChecksumSHA256": base64_of(bytes.fromhex(sha256)),
            },
        )
        Uploader(s3, multipart_bytes=1000).put_file(FilePut("inbox", "k", path, sha256))
        stub.assert_no_pending_responses()


def test_the_way_beside_a_client_has_its_endpoint_and_credentials(sink, client, file):
    uploader = Uploader.connect(pool=2, multipart_bytes=5 << 20, s3=client)
    put = FilePut("inbox", "k", *file(b"an instance"))
    for _ in range(3):
        uploader.put_file(put)
    uploader.close()
    assert sink.stats()["bad_digests"] == 0
    assert list(sink.objects()) == ["inbox/k"]


def test_no_direct_way_without_credentials(client, monkeypatch):
    class Session:
        def get_credentials(self):
            return None

    monkeypatch.setattr("boto3.Session", Session)
    assert DirectPut.beside(client, pool=1) is None


def test_a_client_behind_a_proxy_has_no_routes(client, monkeypatch):
    monkeypatch.setattr(client.meta.config, "proxies", {"http": "http://p.invalid"})
    routes = Routes(client)
    client.put_object(Bucket="inbox", Key="k", Body=b"")
    routes.accepted("inbox", "k")
    assert routes.of("inbox") is None


@pytest.mark.parametrize(
    ("attempt", "busy", "chance", "expected"),
    [
        (1, False, 1.0, 0.05),
        (3, False, 1.0, 0.2),
        (1, True, 1.0, 0.5),
        (2, True, 0.5, 0.5),
        (9, True, 1.0, 20.0),
        (4, True, 0.0, 0.0),
    ],
)
def test_waits_double_and_are_spread(attempt, busy, chance, expected):
    assert wait_s(attempt, busy=busy, chance=chance) == pytest.approx(expected)
