import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.storescp.settings import MAX_PDU_BYTES, RENAMED, StoreScpSettings

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
    assert settings.scp_port is None


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
                "STORESCP_SCP_PORT",
            ],
        ),
        ({"STORESCP_TLS_KEY_FILE": None}, ["STORESCP_TLS_KEY_FILE"]),
        ({"STORESCP_AE_TITLE": "MORE_THAN_SIXTEEN"}, ["STORESCP_AE_TITLE"]),
        ({"STORESCP_AE_TITLE": "BACK\\SLASH"}, ["STORESCP_AE_TITLE"]),
        ({"STORESCP_BATCH_MAX_INSTANCES": "5001"}, ["STORESCP_BATCH_MAX_INSTANCES"]),
        ({"STORESCP_DICOM_PREFIX": "no spaces"}, ["STORESCP_DICOM_PREFIX"]),
        ({"STORESCP_SCP_PORT": "0"}, ["STORESCP_SCP_PORT"]),
        ({"STORESCP_MAXIMUM_PDU_SIZE": "1000"}, ["STORESCP_MAXIMUM_PDU_SIZE"]),
        ({"STORESCP_BATCHES_PREFIX": ""}, ["STORESCP_BATCHES_PREFIX"]),
        ({"STORESCP_WORKERS": "0"}, ["STORESCP_WORKERS"]),
        ({"STORESCP_ALLOWED_PEERS": '[{"aeTitle": "A\\\\B"}]'}, ["ALLOWED_PEERS"]),
        (
            {"STORESCP_GZIP_FILES": "true"},
            ["STORESCP_GZIP_FILES", "can't import compressed", "STORESCP_IMPORTED"],
        ),
        (
            {
                "STORESCP_CREATE_METADATA": "true",
                "STORESCP_METADATA_PREFIX": "DICOM",
            },
            ["STORESCP_METADATA_PREFIX", "STORESCP_DICOM_PREFIX", "STORESCP_IMPORTED"],
        ),
        (
            {"STORESCP_SPOOL_RESUME_FREE_BYTES": "1"},
            ["STORESCP_SPOOL_RESUME_FREE_BYTES", "STORESCP_SPOOL_MIN_FREE_BYTES"],
        ),
    ],
)
def test_a_bad_setting_is_named(environment, changes, named):
    environment(**changes)
    with pytest.raises(ConfigurationError) as caught:
        load(StoreScpSettings)
    for name in named:
        assert name in str(caught.value)


@pytest.mark.parametrize(("earlier", "today"), RENAMED.items())
def test_an_earlier_name_is_refused_with_todays(environment, earlier, today):
    environment(**{f"STORESCP_{earlier.upper()}": "50"})
    with pytest.raises(ConfigurationError) as caught:
        load(StoreScpSettings)
    assert f"STORESCP_{today.upper()} now" in str(caught.value)


def test_gzip_is_for_who_does_not_import(environment):
    environment(STORESCP_GZIP_FILES="true", STORESCP_IMPORTED="false")
    assert load(StoreScpSettings).gzip_files


@pytest.mark.parametrize(
    ("written", "meant"), [("", ""), ("DICOM", "DICOM/"), ("a/b/", "a/b/")]
)
def test_a_prefix_may_lack_its_slash(environment, written, meant):
    environment(STORESCP_DICOM_PREFIX=written)
    assert load(StoreScpSettings).dicom_prefix == meant


# The sample's own table of settings, with values that are not its defaults.
SAMPLE = {
    "CREATE_METADATA": ("True", True),
    "GZIP_FILES": ("False", False),
    "GZIP_LEVEL": ("9", 9),
    "ADD_STUDYUID_PREFIX": ("True", True),
    "S3_UPLOAD_WORKERS": ("10", 10),
    "DICOM_PREFIX": ("IN", "IN/"),
    "METADATA_PREFIX": ("METADATA", "METADATA/"),
    "CSTORE_DELAY_MS": ("20", 20),
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
    "BOTO_MAX_POOL_CONNECTIONS": ("60", 60),
    "SCP_PORT": ("11112", 11112),
    "DIMSE_TIMEOUT": ("40", 40.0),
    "MAXIMUM_ASSOCIATIONS": ("20", 20),
    "MAXIMUM_PDU_SIZE": ("0", 0),
    "NETWORK_TIMEOUT": ("90", 90.0),
}


def test_the_samples_settings_are_taken_by_their_names(environment):
    environment(**{f"STORESCP_{name}": text for name, (text, _) in SAMPLE.items()})
    settings = load(StoreScpSettings)
    for name, (_, value) in SAMPLE.items():
        assert getattr(settings, name.lower()) == value, name


def test_a_pdu_size_without_limit_is_the_largest_that_is_taken(environment):
    environment(STORESCP_MAXIMUM_PDU_SIZE="0")
    assert load(StoreScpSettings).pdu_bytes == MAX_PDU_BYTES


@pytest.mark.parametrize(
    ("uploads", "workers", "each"), [(4, 1, 4), (4, 2, 2), (5, 2, 3), (1, 4, 1)]
)
def test_workers_share_the_uploads(environment, uploads, workers, each):
    environment(STORESCP_S3_UPLOAD_WORKERS=str(uploads), STORESCP_WORKERS=str(workers))
    assert load(StoreScpSettings).upload_workers_each == each


def test_instances_are_taken_again_later_than_they_are_refused(environment):
    environment(STORESCP_SPOOL_MIN_FREE_BYTES="1000")
    assert load(StoreScpSettings).resume_free_bytes == 1250
    environment(
        STORESCP_SPOOL_MIN_FREE_BYTES="1000", STORESCP_SPOOL_RESUME_FREE_BYTES="1001"
    )
    assert load(StoreScpSettings).resume_free_bytes == 1001


def test_every_setting_is_described():
    for name, field in StoreScpSettings.model_fields.items():
        assert field.description, name
