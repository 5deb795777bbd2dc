"""The signature, against botocore's own."""

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from isocenter.storescp.upload import sigv4
from isocenter.storescp.upload.routes import route_of
from isocenter.storescp.upload.sigv4 import Route, put_head

NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
HASH = "ab" * 32


def by_botocore(monkeypatch, url, headers, keys, region):
    class Known(S3SigV4Auth):
        def payload(self, request):
            return HASH

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    request = AWSRequest("PUT", url, headers=headers)
    Known(keys, "s3", region).add_auth(request)
    return request.headers["Authorization"]


def sent_headers(head):
    lines = head.decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    return lines[0], dict(line.split(": ", 1) for line in lines[1:-2])


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("tls", "port", "authority", "path"),
    [
        (True, 443, "inbox.s3.eu-west-1.amazonaws.com", "/"),
        (False, 9000, "s3.invalid:9000", "/inbox/"),
    ],
)
@given(key=st.text(min_size=1, max_size=60).filter(lambda key: max(key) < "\ud800"))
def test_it_signs_as_botocore_does(token, tls, port, authority, path, key):
    with pytest.MonkeyPatch.context() as patch:
        keys = ReadOnlyCredentials("AKID", "secret", token)
        route = Route(tls, authority, port, authority, path, "eu-west-1", "s3", "ua")
        headers = {"content-type": "application/dicom", "x-amz-checksum-sha256": "q="}
        head = put_head(route, key, headers, length=7, sha256=HASH, keys=keys, now=NOW)
        request, sent = sent_headers(head)
        scheme = "https" if tls else "http"
        url = f"{scheme}://{authority}{request.split()[1]}"
        expected = by_botocore(patch, url, headers, keys, "eu-west-1")
        assert sent["authorization"] == expected
        assert sent["content-length"] == "7"
        assert sent["host"] == authority
        assert sent.get("x-amz-security-token") == token


def test_a_key_of_another_day_is_not_used():
    days = {sigv4._signing_key("s", day, "r", "s3") for day in ("20261123", "20261124")}
    assert len(days) == 2


SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-3/s3/"
    "aws4_request, SignedHeaders=host, Signature=0",
    "user-agent": "Boto3/1",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://inbox.s3.eu-west-3.amazonaws.com/a/b%20c.dcm",
            ("inbox.s3.eu-west-3.amazonaws.com", 443, True, "/"),
        ),
        (
            "http://10.0.0.7:9000/inbox/a/b%20c.dcm",
            ("10.0.0.7:9000", 9000, False, "/inbox/"),
        ),
        ("http://[fd00::7]/inbox/a/b%20c.dcm", ("[fd00::7]", 80, False, "/inbox/")),
    ],
)
def test_a_route_is_what_botocore_sent(url, expected):
    route = route_of(url, SIGNED, "a/b c.dcm")
    assert (route.authority, route.port, route.tls, route.path) == expected
    assert (route.region, route.service, route.user_agent) == (
        "eu-west-3",
        "s3",
        "Boto3/1",
    )


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://h/k?x-id=PutObject", SIGNED),
        ("https://h/other", SIGNED),
        ("https://h/k", {}),
        ("https://h/k", {"authorization": "AWS AKID:signature"}),
        (
            "https://h/k",
            {"authorization": "AWS4-ECDSA-P256-SHA256 Credential=AK/1/s3/"},
        ),
        ("https://h/k", SIGNED | {"x-amz-s3session-token": "t"}),
    ],
)
def test_what_is_not_understood_is_left_to_botocore(url, headers):
    assert route_of(url, headers, "k") is None


def test_what_goes_by_a_proxy_is_left_to_botocore(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    assert route_of("https://h/k", SIGNED, "k") is None
