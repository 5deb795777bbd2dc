"""Sockets that can be closed after the peer has gone.

pynetdicom closes a socket only if ``shutdown`` succeeded, which it does not once the
peer is disconnected: every such association would leave its descriptor to the garbage
collector.
"""

import contextlib
import socket
import ssl


class Connection(socket.socket):
    """A TCP connection."""

    def shutdown(self, how: int) -> None:
        """Shut down if there is still something to shut down."""
        with contextlib.suppress(OSError):
            super().shutdown(how)


class TlsConnection(ssl.SSLSocket):
    """A TLS connection."""

    def shutdown(self, how: int) -> None:
        """Shut down if there is still something to shut down."""
        with contextlib.suppress(OSError):
            super().shutdown(how)
