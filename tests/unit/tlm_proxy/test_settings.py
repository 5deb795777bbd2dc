import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.tlm_proxy.settings import Settings


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ["TLM_PROXY_COGNITO_USER_POOL_ID", "TLM_PROXY_COGNITO_CLIENT_ID"]),
        (
            {"AUTH_MODE": "cognito", "COGNITO_USER_POOL_ID": "eu-west-1_Ab1"},
            ["CLIENT_ID"],
        ),
        ({"AUTH_MODE": "oidc"}, ["TLM_PROXY_OIDC_ISSUER", "TLM_PROXY_OIDC_AUDIENCE"]),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://i"}, ["OIDC_AUDIENCE"]),
        ({"AUTH_MODE": ""}, ["TLM_PROXY_COGNITO_USER_POOL_ID"]),
        ({"AUTH_MODE": "no"}, ["TLM_PROXY_AUTH_MODE"]),
        ({"AUTH_MODE": "none", "PORT": "x"}, ["TLM_PROXY_PORT"]),
        ({"AUTH_MODE": "none", "CACHE_MAX_BYTES": "-1"}, ["TLM_PROXY_CACHE_MAX_BYTES"]),
        ({"AUTH_MODE": "none", "CORS_ALLOW_ORIGINS": '["*"]'}, ["CORS_ALLOW_ORIGINS"]),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "i"}, ["TLM_PROXY_OIDC_ISSUER"]),
    ],
)
def test_a_start_without_what_it_needs_is_refused_by_name(monkeypatch, given, named):
    for name, value in given.items():
        monkeypatch.setenv(f"TLM_PROXY_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    for name in named:
        assert name in str(caught.value)


def test_no_authentication_has_to_be_said(monkeypatch):
    assert Settings.model_fields["auth_mode"].default == "cognito"
    monkeypatch.setenv("TLM_PROXY_AUTH_MODE", "none")
    monkeypatch.setenv("TLM_PROXY_CORS_ALLOW_ORIGINS", '["https://viewer.example"]')
    settings = load(Settings)
    assert settings.auth_mode == "none"
    assert settings.cors_allow_origins == ("https://viewer.example",)
