"""The settings of storage commitment."""

import pytest
from pydantic import ValidationError

from isocenter.storescp.settings import StoreScpSettings


def settings(**changed):
    return StoreScpSettings(
        bucket="a-bucket", datastore_id="0" * 32, scp_port=11112, **changed
    )


def test_an_address_that_is_none_stops_the_start():
    with pytest.raises(ValidationError, match="write host:port"):
        settings(commitment_peers={"CT1": "ct1.example.org"})


def test_imported_needs_imports():
    assert settings(commitment="imported").commitment == "imported"
    with pytest.raises(ValidationError, match="nothing is imported"):
        settings(commitment="imported", imported=False)


def test_addresses_come_as_json(monkeypatch):
    monkeypatch.setenv("STORESCP_COMMITMENT_PEERS", '{"CT1": "10.0.0.7:104,tls"}')
    assert settings().commitment_peers == {"CT1": "10.0.0.7:104,tls"}
