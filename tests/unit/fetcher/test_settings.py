import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.fetcher.settings import DEFAULT_SPLIT_SALT, FetcherSettings


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("FETCHER_WORKERS", "3")
    monkeypatch.setenv("FETCHER_SPLIT_RATIOS", "[0.5, 0.5, 0]")
    monkeypatch.setenv("FETCHER_SPLIT_SALT", "secret")
    monkeypatch.setenv("FETCHER_JOBS_PREFIX", "/jobs")
    settings = load(FetcherSettings)
    assert settings.workers == 3
    assert settings.split_ratios == (0.5, 0.5, 0)
    assert settings.jobs_prefix == "jobs/"
    assert settings.split_salt.get_secret_value() == "secret"
    assert "secret" not in repr(settings)


def test_defaults_give_the_documented_split():
    settings = FetcherSettings()
    assert settings.split_salt.get_secret_value() == DEFAULT_SPLIT_SALT
    assert settings.split_ratios == (0.8, 0.1, 0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("SPLIT_RATIOS", "[0.5, 0.5, 0.5]"),
        ("SPLIT_RATIOS", "[1.5, -0.5, 0]"),
        ("SPLIT_SALT", ""),
        ("MEMORY_MIB", "1"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"FETCHER_{name}", value)
    with pytest.raises(ConfigurationError, match=f"FETCHER_{name}"):
        load(FetcherSettings)
