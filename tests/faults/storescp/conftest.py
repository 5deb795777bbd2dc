import pytest
from support.requestors import close_sockets_of_requestors


@pytest.fixture(autouse=True)
def _requestors_close_their_sockets(monkeypatch):
    close_sockets_of_requestors(monkeypatch)
