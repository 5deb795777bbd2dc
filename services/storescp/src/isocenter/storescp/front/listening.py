"""Listening sockets, made before worker processes are, so that they share them."""

import socket
from dataclasses import dataclass

from isocenter.core.errors import ConfigurationError

BACKLOG = 512


@dataclass(frozen=True)
class Listener:
    """A bound, listening socket, and whether TLS is spoken on it."""

    socket: socket.socket
    tls: bool


def bind(address: str, port: int) -> socket.socket:
    """Listen on an address: IPv4, IPv6, or both with ``::``.

    Args:
        address: of an interface; ``0.0.0.0`` or ``::`` for all.
        port: 0 for one that is free.

    Raises:
        ConfigurationError: the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            both = address == "::"
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        listening.bind((address, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"can't listen on {address} port {port}: {error.strerror}"
        ) from error
    return listening
