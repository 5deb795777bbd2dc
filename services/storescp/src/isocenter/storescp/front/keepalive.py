"""TCP keep-alive: connections stay open through silence, and dead peers are found."""

import socket

KEEPALIVE_IDLE_S = 60
"""Seconds of silence before the peer is probed. Load balancers and firewalls forget
silent connections, an AWS Network Load Balancer after 350 seconds at which it may be
fixed; a modality may be silent for longer, between two instances of a slow scan."""
KEEPALIVE_INTERVAL_S = 30


def keep_alive(connection: socket.socket) -> None:
    """Let the kernel probe a silent peer (RFC 9293, 3.8.4)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connection.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S
    )
