import json
import logging
import socket
import urllib.error
import urllib.request

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from isocenter.core import health
from isocenter.core.errors import ConfigurationError
from isocenter.core.health import HealthServer
from isocenter.core.log import JsonFormatter
from isocenter.core.settings import ProcessSettings, load


class Example(ProcessSettings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")
    bucket: str = Field(description="A bucket.")
    threads: int = Field(default=4, ge=1, description="Threads.")


def test_settings_from_environment(monkeypatch):
    monkeypatch.setenv("EXAMPLE_BUCKET", "b")
    monkeypatch.setenv("EXAMPLE_THREADS", "7")
    settings = load(Example)
    assert (settings.bucket, settings.threads, settings.log_level) == ("b", 7, "INFO")


def test_settings_name_every_problem(monkeypatch):
    monkeypatch.setenv("EXAMPLE_THREADS", "0")
    with pytest.raises(ConfigurationError) as caught:
        load(Example)
    assert "EXAMPLE_BUCKET: Field required" in str(caught.value)
    assert "EXAMPLE_THREADS: " in str(caught.value)


def test_settings_are_frozen(monkeypatch):
    monkeypatch.setenv("EXAMPLE_BUCKET", "b")
    settings = load(Example)
    with pytest.raises(ValueError, match="frozen"):
        settings.bucket = "other"


def test_log_line_has_the_fixed_fields_and_no_others():
    record = logging.LogRecord("isocenter.x", 20, "f", 1, "stored %d", (3,), None)
    record.sop_instance_uid = "1.2.3"
    record.patient_name = "Doe^Jane"
    line = json.loads(JsonFormatter("storescp").format(record))
    assert line["message"] == "stored 3"
    assert line["service"] == "storescp"
    assert line["sop_instance_uid"] == "1.2.3"
    assert "Doe" not in json.dumps(line)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_server():
    problem: list[str | None] = [None]
    server = HealthServer(0, ready=lambda: problem[0])
    try:
        assert get(server.port, "/healthz") == (200, "ok\n")
        assert get(server.port, "/readyz") == (200, "ok\n")
        problem[0] = "spool is full"
        assert get(server.port, "/readyz") == (503, "spool is full\n")
        assert get(server.port, "/healthz")[0] == 200
        assert "python_info" in get(server.port, "/metrics")[1]
        assert get(server.port, "/other")[0] == 404
    finally:
        server.close()


def test_a_silent_connection_is_closed(monkeypatch):
    """Each holds a thread: over weeks, port scans would use them all up."""
    monkeypatch.setattr(health, "_IDLE_S", 0.05)
    server = HealthServer(0)
    try:
        with socket.create_connection(("127.0.0.1", server.port), 2) as silent:
            assert silent.recv(1) == b""
    finally:
        server.close()
