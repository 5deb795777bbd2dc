import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.storescp.settings import StoreScpSettings

GOOD = {
    "STORESCP_BUCKET": "inbox",
    "STORESCP_DATASTORE_ID": "0" * 32,
    "STORESCP_TLS_CERT_FILE": "/tls/tls.crt",
    "STORESCP_TLS_KEY_FILE": "/tls/tls.key",
}


@pytest.fixture
def environment(monkeypatch):
    def put(**changes):
        for name, value in (GOOD | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return put


def test_the_defaults_of_a_deployment(environment):
    environment()
    settings = load(StoreScpSettings)
    assert settings.ae_title == "S3SCP"
    assert settings.tls_port == 11113
    assert settings.plain_port is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"STORESCP_BUCKET": None}, ["STORESCP_BUCKET"]),
        ({"STORESCP_DATASTORE_ID": "short"}, ["STORESCP_DATASTORE_ID"]),
        (
            {"STORESCP_TLS_CERT_FILE": None, "STORESCP_TLS_KEY_FILE": None},
            [
                "STORESCP_TLS_CERT_FILE",
                "STORESCP_TLS_KEY_FILE",
                "STORESCP_PLAIN_PORT",
            ],
        ),
        ({"STORESCP_TLS_KEY_FILE": None}, ["STORESCP_TLS_KEY_FILE"]),
        ({"STORESCP_AE_TITLE": "MORE_THAN_SIXTEEN"}, ["STORESCP_AE_TITLE"]),
        ({"STORESCP_AE_TITLE": "BACK\\SLASH"}, ["STORESCP_AE_TITLE"]),
        ({"STORESCP_BATCH_MAX_INSTANCES": "5001"}, ["STORESCP_BATCH_MAX_INSTANCES"]),
        ({"STORESCP_DICOM_PREFIX": "no-slash"}, ["STORESCP_DICOM_PREFIX"]),
        ({"STORESCP_PLAIN_PORT": "0"}, ["STORESCP_PLAIN_PORT"]),
    ],
)
def test_a_bad_setting_is_named(environment, changes, named):
    environment(**changes)
    with pytest.raises(ConfigurationError) as caught:
        load(StoreScpSettings)
    for name in named:
        assert name in str(caught.value)


def test_every_setting_is_described():
    for name, field in StoreScpSettings.model_fields.items():
        assert field.description, name
