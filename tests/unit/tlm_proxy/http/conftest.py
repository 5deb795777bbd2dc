import pytest

from isocenter.tlm_proxy.http.immediate import ImmediateProtocol


@pytest.fixture
def at_once(monkeypatch):
    """Requests that were answered the short way."""
    found = []
    write = ImmediateProtocol._write

    def noticed(self, answer):
        found.append(answer.length)
        write(self, answer)

    monkeypatch.setattr(ImmediateProtocol, "_write", noticed)
    return found
