"""Sockets that stay open through silence, and can be closed after the peer has gone.

pynetdicom closes a socket only if ``shutdown`` succeeded, which it does not once the
peer is disconnected: every such association would leave its descriptor to the garbage
collector.
"""

import contextlib
import socket
import ssl

KEEPALIVE_IDLE_S = 60
"""Seconds of silence before the peer is probed. Load balancers and firewalls forget
silent connections, an AWS Network Load Balancer after 350 seconds at which it may be
fixed; a modality may be silent for longer, between two instances of a slow scan."""
KEEPALIVE_INTERVAL_S = 30


class Connection(socket.socket):
    """A TCP connection."""

    def keep_alive(self) -> None:
        """Let the kernel probe a silent peer (RFC 9293, 3.8.4)."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)

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
