"""Our request is botocore's own, but for who sends it."""

import asyncio
import datetime as dt

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials

from isocenter.tlm_proxy.errors import CredentialsError
from isocenter.tlm_proxy.upstream.signing import FrameSigner

NOW = dt.datetime(2026, 11, 23, 4, 5, 6, tzinfo=dt.UTC)


@pytest.fixture
def frozen(monkeypatch):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)


def botocores_own(client, key):
    """What botocore would send for the same call."""
    caught = []

    def catch(request, **_):
        caught.append(request)
        return AWSResponse(request.url, 200, {}, None)

    client.meta.events.register("before-send.medical-imaging.GetImageFrame", catch)
    client.get_image_frame(
        datastoreId=key.datastore_id,
        imageSetId=key.image_set_id,
        imageFrameInformation={"imageFrameId": key.frame_id},
    )
    return caught[0]


@pytest.mark.parametrize(
    "case",
    [
        ({}, {}, "https://runtime-medical-imaging.eu-west-1.amazonaws.com/datastore/"),
        (
            {"config": Config(use_fips_endpoint=True, region_name="us-east-1")},
            {},
            "https://runtime-medical-imaging-fips.us-east-1.amazonaws.com/datastore/",
        ),
        ({"endpoint_url": "http://a.b:8/c/"}, {}, "http://runtime-a.b:8/c/datastore/"),
        (
            {},
            {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": "http://a.b:8"},
            "http://runtime-a.b:8/datastore/",
        ),
        (
            {},
            {
                "AWS_ENDPOINT_URL": "http://a.b:8",
                "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            },
            "http://a.b:8/datastore/",
        ),
    ],
)
@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("token", [None, "session-token"])
def test_the_request_is_botocores_own(monkeypatch, boto_session, key_of, case, token):
    options, variables, host = case
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # Set by config in the FIPS case.
    region = {} if "config" in options else {"region_name": "eu-west-1"}
    client = boto3.client(
        "medical-imaging",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        aws_session_token=token,
        **region,
        **options,
    )
    key = key_of("f")
    expected = botocores_own(client, key)
    session = boto_session(Credentials("AKIDEXAMPLE", "secret", token))
    request = asyncio.run(FrameSigner(client, session).sign(key))

    assert request.method == expected.method == "POST"
    assert request.url == expected.url
    assert request.url.startswith(host)
    assert request.body == expected.body
    theirs = {name.lower(): value for name, value in expected.headers.items()}
    ours = {name.lower(): value for name, value in request.headers.items()}
    assert ours["content-type"] == as_text(theirs["content-type"])
    assert ours["authorization"] == as_text(theirs["authorization"])
    assert ours.get("x-amz-security-token") == token


def as_text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_credentials_are_refreshed_before_they_end(boto_client, boto_session, key_of):
    now = dt.datetime.now(dt.UTC)
    made = []

    def refresh():
        made.append(1)
        end = now + dt.timedelta(hours=1)
        return {
            "access_key": f"KEY{len(made)}",
            "secret_key": "s",
            "token": "t",
            "expiry_time": end.isoformat(),
        }

    credentials = RefreshableCredentials(
        "OLD", "s", "t", now + dt.timedelta(minutes=1), refresh, "test"
    )
    signer = FrameSigner(boto_client("http://a.b"), boto_session(credentials))

    async def twice():
        return [await signer.sign(key_of("f")) for _ in range(2)]

    for request in asyncio.run(twice()):
        assert "Credential=KEY1/" in request.headers["Authorization"]
    assert len(made) == 1


def test_no_credentials_is_said(boto_client, boto_session, key_of):
    signer = FrameSigner(boto_client("http://a.b"), boto_session(None))
    with pytest.raises(CredentialsError, match="give the pod a role"):
        asyncio.run(signer.sign(key_of("f")))


def test_a_token_file_that_is_missing_is_said(
    boto_client, boto_session, key_of, monkeypatch, tmp_path
):
    session = boto_session(None)
    monkeypatch.setattr(session, "get_credentials", (tmp_path / "token").read_text)
    signer = FrameSigner(boto_client("http://a.b"), session)
    with pytest.raises(CredentialsError, match="token"):
        asyncio.run(signer.sign(key_of("f")))
