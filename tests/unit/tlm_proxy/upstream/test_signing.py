"""Our request is botocore's own, but for who sends it."""

import asyncio
import datetime as dt

import boto3
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials

from isocenter.core.errors import ConfigurationError
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.upstream.credentials import Credentials
from isocenter.tlm_proxy.upstream.signing import Signer, connect

NOW = dt.datetime(2026, 11, 23, 4, 5, 6, tzinfo=dt.UTC)


@pytest.fixture
def frozen(monkeypatch):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)


DATASTORE = "d" * 32
IMAGE_SET = "5" * 32
PLACES = [
    ({}, {}, "https://{}medical-imaging.eu-west-1.amazonaws.com"),
    (
        {"config": Config(use_fips_endpoint=True, region_name="us-east-1")},
        {},
        "https://{}medical-imaging-fips.us-east-1.amazonaws.com",
    ),
    ({"endpoint_url": "http://a.b:8/c/"}, {}, "http://{}a.b:8/c"),
    ({}, {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": "http://a.b:8"}, "http://{}a.b:8"),
    (
        {},
        {
            "AWS_ENDPOINT_URL": "http://a.b:8",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        },
        "http://a.b:8",
    ),
]
"""Options of the client, AWS's variables, and where its calls then go."""
OPERATIONS = [
    (
        "GetImageFrame",
        {
            "datastoreId": DATASTORE,
            "imageSetId": IMAGE_SET,
            "imageFrameInformation": {"imageFrameId": "f" * 32},
        },
        (
            {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET},
            None,
            {"imageFrameId": "f" * 32},
        ),
    ),
    (
        "GetImageSetMetadata",
        {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET, "versionId": "3"},
        (
            {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET},
            {"versionId": "3"},
            None,
        ),
    ),
    (
        "GetImageSetMetadata",
        {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET},
        (
            {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET},
            {"versionId": None},
            None,
        ),
    ),
    (
        "SearchImageSets",
        {
            "datastoreId": DATASTORE,
            "maxResults": 50,
            "nextToken": "a+/= ~b",
            "searchCriteria": {
                "filters": [
                    {"values": [{"DICOMStudyInstanceUID": "1.2"}], "operator": "EQUAL"}
                ]
            },
        },
        (
            {"datastoreId": DATASTORE},
            {"maxResults": 50, "nextToken": "a+/= ~b"},
            {
                "filters": [
                    {"values": [{"DICOMStudyInstanceUID": "1.2"}], "operator": "EQUAL"}
                ]
            },
        ),
    ),
]
"""What botocore is asked, and what the signer is."""


def client_at(monkeypatch, place, token=None):
    options, variables, _ = place
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # Set by config in the FIPS case.
    region = {} if "config" in options else {"region_name": "eu-west-1"}
    return boto3.client(
        "medical-imaging",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        aws_session_token=token,
        **region,
        **options,
    )


def botocores_own(client, name, values):
    """What botocore would send for the same call."""
    caught = []

    def catch(request, **_):
        caught.append(request)
        raise RuntimeError("caught")

    client.meta.events.register(f"before-send.medical-imaging.{name}", catch)
    with pytest.raises(RuntimeError, match="caught"):
        client._make_api_call(name, values)
    return caught[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize(("name", "theirs", "ours"), OPERATIONS)
@pytest.mark.usefixtures("frozen")
def test_requests_are_botocores_own(
    monkeypatch, boto_session, place, token, name, theirs, ours
):
    client = client_at(monkeypatch, place, token)
    expected = botocores_own(client, name, theirs)
    session = boto_session(BotoCredentials("AKIDEXAMPLE", "secret", token))
    signer = Signer(client, Credentials(session))
    request = asyncio.run(signer.operation(name, *ours))

    assert request.method == expected.method == "POST"
    assert request.url == expected.url
    assert request.url.startswith(place[2].format("runtime-") + "/datastore/")
    assert request.body == (expected.body or b"")
    theirs = {name.lower(): value for name, value in expected.headers.items()}
    ours = {name.lower(): value for name, value in request.headers.items()}
    assert as_text(ours.get("content-type")) == as_text(theirs.get("content-type"))
    assert ours["authorization"] == as_text(theirs["authorization"])
    assert ours.get("x-amz-security-token") == token


@pytest.mark.parametrize("app_id", ["isocenter-tlm-proxy", None])
def test_who_sends_it_is_told_as_botocore_tells_it(monkeypatch, boto_session, app_id):
    if app_id:
        monkeypatch.setenv("AWS_SDK_UA_APP_ID", app_id)
    client = client_at(monkeypatch, PLACES[0])
    name, theirs, ours = OPERATIONS[0]
    sent = as_text(botocores_own(client, name, theirs).headers["User-Agent"])
    signer = Signer(client, Credentials(boto_session(BotoCredentials("A", "s"))))
    request = asyncio.run(signer.operation(name, *ours))
    words = request.headers["User-Agent"].split()
    assert [each for each in sent.split() if each.startswith("app/")] == [
        each for each in words if each.startswith("app/")
    ]
    assert (f"app/{app_id}" in words) == bool(app_id)
    assert "user-agent" not in request.headers["Authorization"].lower()


@pytest.mark.parametrize("place", PLACES)
def test_where_dicomweb_is(monkeypatch, boto_session, place):
    client = client_at(monkeypatch, place)
    session = boto_session(BotoCredentials("AKIDEXAMPLE", "secret"))
    signer = Signer(client, Credentials(session))
    request = asyncio.run(signer.dicomweb(DATASTORE, "studies", [], "a/b"))
    assert request.method == "GET"
    assert request.url == place[2].format("dicom-") + f"/datastore/{DATASTORE}/studies"
    assert request.headers["Accept"] == "a/b"
    assert "/medical-imaging/aws4_request" in request.headers["Authorization"]


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ([], ""),
        ([("limit", "101"), ("offset", "0")], "?limit=101&offset=0"),
        ([("PatientName", "*juno*")], "?PatientName=%2Ajuno%2A"),
        ([("PatientName", "M\u00fcller^A B")], "?PatientName=M%C3%BCller%5EA%20B"),
        ([("includefield", "00081030,00080060")], "?includefield=00081030%2C00080060"),
        ([("b", "2"), ("b", "10"), ("a", "=&+%7e")], "?b=2&b=10&a=%3D%26%2B%257e"),
        ([("a~-_.", "")], "?a~-_.="),
    ],
)
@pytest.mark.usefixtures("frozen")
def test_dicomweb_queries_are_encoded_and_signed(
    boto_client, boto_session, query, written
):
    boto_credentials = BotoCredentials("AKIDEXAMPLE", "secret")
    signer = Signer(
        boto_client("https://a.b"), Credentials(boto_session(boto_credentials))
    )
    request = asyncio.run(signer.dicomweb(DATASTORE, "studies", query, "a/b"))
    assert request.url == f"https://dicom-a.b/datastore/{DATASTORE}/studies{written}"
    # botocore's own canonical query, from the parameters as they are
    expected = AWSRequest(
        "GET",
        f"https://dicom-a.b/datastore/{DATASTORE}/studies",
        params=query or None,
        headers={"Accept": "a/b"},
    )
    SigV4Auth(boto_credentials, "medical-imaging", "eu-west-1").add_auth(expected)
    assert request.headers["Authorization"] == expected.headers["Authorization"]


@pytest.mark.parametrize(
    ("datastore", "path"),
    [
        (DATASTORE, "studies/../../other"),
        (DATASTORE, "studies/./x"),
        (DATASTORE, "studies//x"),
        (DATASTORE, "studies/"),
        (DATASTORE, "//studies"),
        (DATASTORE, ""),
        ("../" + DATASTORE, "studies"),
        (DATASTORE + "/..", "studies"),
        ("D" * 32, "studies"),
    ],
)
def test_no_path_leads_out_of_the_data_store(
    boto_client, boto_session, datastore, path
):
    signer = Signer(boto_client("http://a.b"), Credentials(boto_session(None)))
    with pytest.raises(BadRequestError):
        asyncio.run(signer.dicomweb(datastore, path, [], "a/b"))


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("studies/1.2/series", "studies/1.2/series"),
        ("/studies/1.2", "studies/1.2"),
        ("studies/a b?c#d%2e%2e", "studies/a%20b%3Fc%23d%252e%252e"),
    ],
)
def test_dicomweb_paths_are_encoded(boto_client, boto_session, path, written):
    signer = Signer(
        boto_client("http://a.b"),
        Credentials(boto_session(BotoCredentials("AKIDEXAMPLE", "secret"))),
    )
    request = asyncio.run(signer.dicomweb(DATASTORE, path, [], "a/b"))
    assert request.url == f"http://dicom-a.b/datastore/{DATASTORE}/{written}"


@pytest.mark.parametrize(
    ("regions", "variable", "own", "served"),
    [
        ((), "eu-west-1", "eu-west-1", ["eu-west-1"]),
        (("us-east-1", "eu-west-1"), "eu-west-1", "eu-west-1", None),
        (("us-east-1",), "eu-west-1", "eu-west-1", None),
        (("us-east-1",), None, "us-east-1", None),
    ],
)
def test_regions(monkeypatch, tmp_path, regions, variable, own, served):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
        if variable:
            monkeypatch.setenv(name, variable)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    found, signers = connect(regions)
    assert found == own
    assert list(signers) == (served or list(regions))
    for region, signer in signers.items():
        assert signer.region == region
        assert f".{region}." in signer._dicomweb


def test_no_region_at_all_is_said(monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="region"):
        connect(())


def as_text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_a_profile_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(ConfigurationError, match="nowhere"):
        connect(("eu-west-1",))
