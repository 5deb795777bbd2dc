"""pynetdicom's requestors, as tests need them."""

from pynetdicom.transport import AssociationSocket


def close_sockets_of_requestors(monkeypatch):
    """Close them at an association's end; they stay open if the peer went first."""
    plain = AssociationSocket._shutdown_socket

    def shut(self):
        sock = self.socket
        plain(self)
        if sock is not None:
            sock.close()

    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", shut)
