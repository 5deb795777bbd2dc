import pytest
from pynetdicom.transport import AssociationSocket


@pytest.fixture(autouse=True)
def _requestors_close_their_sockets(monkeypatch):
    """pynetdicom's own sockets stay open if the peer went first."""
    plain = AssociationSocket._shutdown_socket

    def shut(self):
        sock = self.socket
        plain(self)
        if sock is not None:
            sock.close()

    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", shut)
