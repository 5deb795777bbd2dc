"""``isocenter-tlm-proxy`` as a process, before HealthImaging and a Cognito pool."""

from dataclasses import dataclass

import boto3
import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest

from isocenter.core.codestream import scan_levels
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.image_set import parse_metadata

MISSING = "0" * 32
END_OF_CODESTREAM = b"\xff\xd9"


def problem(answer):
    """Status and kind of a problem document (RFC 9457)."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    return told["status"], told["type"].removeprefix("urn:isocenter:problem:")


@dataclass(frozen=True)
class Proxy:
    """A running proxy and a token it accepts."""

    base: str
    token: str

    def get(self, path, token=None, headers=None, **query):
        bearer = self.token if token is None else token
        sent = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        sent |= headers or {}
        return httpx.get(f"{self.base}{path}", params=query, headers=sent)


@dataclass(frozen=True)
class Pool:
    """A Cognito user pool with a user."""

    pool_id: str
    cognito: object

    def client(self, name):
        made = self.cognito.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        return made["UserPoolClient"]["ClientId"]

    def tokens(self, client_id):
        answer = self.cognito.initiate_auth(
            ClientId=client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "reader", "PASSWORD": "Secret-1234"},
        )
        return answer["AuthenticationResult"]


@pytest.fixture(scope="module")
def pool(aws):
    cognito = boto3.client("cognito-idp")
    pool_id = cognito.create_user_pool(PoolName="contract")["UserPool"]["Id"]
    user = {"UserPoolId": pool_id, "Username": "reader"}
    cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password="Secret-1234", Permanent=True)
    return Pool(pool_id, cognito)


@pytest.fixture(scope="module")
def viewer(pool):
    """The app client that the proxy is told of."""
    return pool.client("viewer")


@pytest.fixture(scope="module")
def proxy(serving, ports, pool, viewer):
    port, health = ports(2)
    base = f"http://127.0.0.1:{port}"
    with serving(
        "isocenter-tlm-proxy",
        ready=f"{base}/readyz",
        TLM_PROXY_PORT=str(port),
        TLM_PROXY_HEALTH_PORT=str(health),
        TLM_PROXY_COGNITO_USER_POOL_ID=pool.pool_id,
        TLM_PROXY_COGNITO_CLIENT_ID=viewer,
    ):
        yield Proxy(base, pool.tokens(viewer)["AccessToken"])


@pytest.fixture(scope="module")
def instance(ct_study):
    """One instance of the CT study, as HealthImaging describes it."""
    document = HealthImaging.connect().metadata(
        ct_study.datastore_id, ct_study.image_set_id, "1"
    )
    return parse_metadata(document).instances[0]


@pytest.fixture(scope="module")
def frame(ct_study, instance):
    """The frame's codestream, read without the proxy."""
    return HealthImaging.connect().frame_bytes(
        ct_study.datastore_id, ct_study.image_set_id, instance.frames[0].id
    )


@pytest.fixture(scope="module")
def path(ct_study, instance):
    return (
        f"/datastore/{ct_study.datastore_id}/imageSet/{ct_study.image_set_id}"
        f"/imageFrame/{instance.frames[0].id}"
    )


def test_whole_frame_is_get_image_frames(proxy, path, frame, instance, ct_files):
    answer = proxy.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.content == frame
    sent = {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, ct_files)}
    pixels = sent[instance.sop_instance_uid].pixel_array
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(answer.content), pixels)


def test_post_of_the_aws_sample_answers_the_same(proxy, path, frame):
    image_set, _, frame_id = path.partition("/imageFrame/")
    answer = httpx.post(
        f"{proxy.base}{image_set}/getImageFrame",
        json={"imageFrameId": frame_id},
        headers={"Authorization": f"Bearer {proxy.token}"},
    )
    assert (answer.status_code, answer.content) == (200, frame)


def test_levels_are_prefixes_that_decode_to_smaller_images(proxy, path, frame):
    ends = scan_levels(frame).ends
    levels = len(ends)
    assert levels > 3
    pieces = []
    for level, end in enumerate(ends):
        upto = proxy.get(path, endLevel=level)
        assert upto.status_code == 200, upto.text
        assert upto.content == frame[:end]
        skip = levels - 1 - level
        np.testing.assert_array_equal(
            imagecodecs.htj2k_decode(upto.content, skipres=skip),
            imagecodecs.htj2k_decode(frame, skipres=skip),
        )
        pieces.append(proxy.get(path, startLevel=level, endLevel=level).content)
    assert b"".join(pieces) + END_OF_CODESTREAM == frame
    assert proxy.get(path, endLevel=levels).content == frame
    beyond = proxy.get(path, startLevel=levels)
    assert problem(beyond) == (416, "level-out-of-range")


def test_reduced_frames_decode_as_they_are(proxy, path, frame):
    for n in (1, 2):
        answer = proxy.get(path, reduce=n)
        assert answer.status_code == 200
        assert answer.content == frame[: len(answer.content)]
        assert len(answer.content) < len(frame)
        np.testing.assert_array_equal(
            imagecodecs.htj2k_decode(answer.content, skipres=n),
            imagecodecs.htj2k_decode(frame, skipres=n),
        )


def test_what_a_client_has_or_has_part_of_is_not_sent_again(proxy, path, frame):
    whole = proxy.get(path)
    tag = whole.headers["ETag"]
    again = proxy.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    rest = proxy.get(path, headers={"Range": "bytes=1000-", "If-Range": tag})
    assert (rest.status_code, rest.content) == (206, frame[1000:])
    last = len(frame) - 1
    assert rest.headers["Content-Range"] == f"bytes 1000-{last}/{len(frame)}"


def test_a_token_in_the_url_is_refused(proxy, path):
    answer = httpx.get(f"{proxy.base}{path}", params={"access_token": proxy.token})
    assert problem(answer) == (400, "token-in-url")


@pytest.mark.parametrize("kind", ["whole", "levels"])
def test_missing_frame_is_not_found(proxy, path, kind):
    query = {"endLevel": 0} if kind == "levels" else {}
    answer = proxy.get(f"{path.rpartition('/')[0]}/{MISSING}", **query)
    assert problem(answer) == (404, "not-found")


def test_without_a_token_nothing_is_read(proxy, path):
    answer = proxy.get(path, token="")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_token_of_another_client_is_refused(proxy, path, pool):
    other = pool.tokens(pool.client("other"))["AccessToken"]
    answer = proxy.get(path, token=other)
    assert answer.status_code == 401
    assert "client_id" in answer.json()["detail"]


def test_id_token_is_no_access_token(proxy, path, pool, viewer):
    answer = proxy.get(path, token=pool.tokens(viewer)["IdToken"])
    assert answer.status_code == 401


def test_changed_token_is_refused(proxy, path):
    head, body, signature = proxy.token.split(".")
    other = "A" if signature[10] != "A" else "B"
    forged = f"{head}.{body}.{signature[:10]}{other}{signature[11:]}"
    answer = proxy.get(path, token=forged)
    assert answer.status_code == 401


def test_throttled_upstream_is_asked_again(serving, ports, path, frame, control):
    port, health = ports(2)
    base = f"http://127.0.0.1:{port}"
    with serving(
        "isocenter-tlm-proxy",
        ready=f"{base}/readyz",
        TLM_PROXY_PORT=str(port),
        TLM_PROXY_HEALTH_PORT=str(health),
        TLM_PROXY_AUTH_MODE="none",
    ):
        fault = {"operation": "GetImageFrame", "error": "ThrottlingException"}
        control("POST", "healthimaging", "faults", **fault, count=2)
        answer = Proxy(base, "").get(path)
        assert (answer.status_code, answer.content) == (200, frame)
