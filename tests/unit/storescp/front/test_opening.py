"""From settings to a door."""

import json
import logging

import pytest
from pydantic import ValidationError

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.front import opening
from isocenter.storescp.front.limits import Limits
from isocenter.storescp.settings import StoreScpSettings

BY_SUBJECT = [{"aeTitle": "CT1", "certificateSubject": "CN=ct1"}]


def test_the_defaults_are_the_limits_own(make_settings):
    assert opening.limits(make_settings()) == Limits()


def test_who_and_what(make_settings):
    settings = make_settings(
        ae_title="ARCHIVE",
        called_ae_titles=["OLD"],
        allowed_peers=["CT1"],
        accept_private_sop_classes=False,
        commitment="off",
        maximum_pdu_size=16384,
        max_operations_performed=4,
    )
    found = opening.acceptance(settings)
    assert found.called_ae_titles == {"ARCHIVE", "OLD"}
    assert [peer.ae_title for peer in found.allowed_peers] == ["CT1"]
    assert not found.private_sop_classes
    assert not found.commitment
    assert (found.max_pdu, found.max_operations) == (16384, 4)


def test_peers_come_from_the_environment_as_json(monkeypatch):
    for name, value in {
        "BUCKET": "inbox",
        "DATASTORE_ID": "0" * 32,
        "SCP_PORT": "11112",
        "ALLOWED_PEERS": json.dumps(["CT1", {"aeTitle": "*", "cidrs": ["10.0.0.0/8"]}]),
    }.items():
        monkeypatch.setenv(f"STORESCP_{name}", value)
    peers = load(StoreScpSettings).allowed_peers
    assert [peer.ae_title for peer in peers] == ["CT1", "*"]
    assert str(peers[1].cidrs[0]) == "10.0.0.0/8"
    monkeypatch.setenv("STORESCP_ALLOWED_PEERS", '["TOO LONG FOR A TITLE"]')
    with pytest.raises(ConfigurationError, match="STORESCP_ALLOWED_PEERS"):
        load(StoreScpSettings)


def test_subjects_need_certificates(make_settings, pair):
    cert, key = pair
    with pytest.raises(ValidationError, match="set STORESCP_TLS_CA_FILE"):
        make_settings(allowed_peers=BY_SUBJECT, tls_cert_file=cert, tls_key_file=key)
    assert make_settings(
        allowed_peers=BY_SUBJECT, tls_cert_file=cert, tls_key_file=key, tls_ca_file=cert
    )


def test_a_door_for_nobody_says_so(make_settings, caplog):
    with caplog.at_level(logging.WARNING):
        door = opening.door(
            make_settings(allowed_peers=[]),
            [],
            serve=lambda *_: None,
            registry=Registry(),
        )
    door.start()
    door.close()
    assert "STORESCP_ALLOWED_PEERS is empty" in caplog.text


def test_certificates_are_read_at_the_start(make_settings, tmp_path, pair):
    assert opening.certificates(make_settings()) is None
    settings = make_settings(tls_cert_file=pair[0], tls_key_file=tmp_path / "none")
    with pytest.raises(ConfigurationError, match="STORESCP_TLS_KEY_FILE"):
        opening.certificates(settings)
