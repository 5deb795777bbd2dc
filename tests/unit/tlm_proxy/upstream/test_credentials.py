"""The proxy's own credentials."""

import asyncio
import datetime as dt

import pytest
from botocore.credentials import Credentials as BotoCredentials
from botocore.credentials import RefreshableCredentials

from isocenter.tlm_proxy.errors import CredentialsError
from isocenter.tlm_proxy.upstream.credentials import Credentials


def frozen(credentials, times=1):
    async def play():
        return [await credentials.frozen() for _ in range(times)]

    return asyncio.run(play())


def test_they_are_refreshed_before_they_end(boto_session):
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

    end = now + dt.timedelta(minutes=1)
    old = RefreshableCredentials("OLD", "s", "t", end, refresh, "test")
    found = frozen(Credentials(boto_session(old)), times=2)
    assert [each.access_key for each in found] == ["KEY1", "KEY1"]
    assert len(made) == 1


def test_they_are_looked_for_once(boto_session):
    session = boto_session(BotoCredentials("A", "s"))
    asked = []
    find = session.get_credentials
    session.get_credentials = lambda: asked.append(1) or find()
    credentials = Credentials(session)

    async def play():
        return await asyncio.gather(*(credentials.frozen() for _ in range(20)))

    assert {each.access_key for each in asyncio.run(play())} == {"A"}
    assert len(asked) == 1


def test_none_is_said_and_they_are_looked_for_again(boto_session):
    session = boto_session(None)
    credentials = Credentials(session)
    with pytest.raises(CredentialsError, match="give the pod a role"):
        frozen(credentials)
    session.credentials = BotoCredentials("A", "s")
    assert frozen(Credentials(session))[0].access_key == "A"


def test_what_botocore_lets_through_is_said_without_its_text(boto_session):
    session = boto_session(None)

    def find():
        raise ValueError("a credential process wrote: secret")

    session.get_credentials = find
    with pytest.raises(CredentialsError, match="ValueError") as caught:
        frozen(Credentials(session))
    assert "secret" not in str(caught.value)


def test_a_token_file_that_is_missing_is_said(boto_session, tmp_path):
    session = boto_session(None)
    session.get_credentials = (tmp_path / "token").read_text
    with pytest.raises(CredentialsError, match="token"):
        frozen(Credentials(session))
