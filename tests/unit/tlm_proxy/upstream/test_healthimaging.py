"""All of it together, built by AWS's own variables."""

import pytest
from botocore.credentials import Credentials as BotoCredentials

from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.healthimaging import Upstream


@pytest.fixture
def settings():
    return Settings(auth_mode="none", regions=("eu-west-1", "us-east-1"))


def test_it_is_built_by_variables(monkeypatch, run, metrics, settings):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    async def play():
        upstream = Upstream.build(settings, metrics)
        assert upstream.region == "eu-west-1"
        assert upstream.regions == ("eu-west-1", "us-east-1")
        assert upstream.problem() == "starting"
        await upstream.aclose()
        await upstream.open()
        await upstream.prepare()
        assert upstream.problem() is None
        await upstream.aclose()

    run(play)


def test_it_says_that_there_are_no_credentials_and_recovers(
    run, bench, ok, boto_session, caplog
):
    async def play():
        async with bench(ok()) as b:
            (signer,) = b.upstream._signers.values()
            signer._credentials._session = boto_session(None)
            await b.upstream.prepare()
            assert b.upstream.problem() == "no AWS credentials"
            assert "no AWS credentials" in caplog.text
            session = boto_session(BotoCredentials("AKIDEXAMPLE", "secret"))
            signer._credentials._session = session
            await b.upstream.prepare()
            assert b.upstream.problem() is None

    run(play)
