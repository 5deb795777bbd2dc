"""Ports of 127.0.0.1 for servers that a test or a benchmark starts."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A port to listen on, below those that the kernel gives to clients.

    Of those, one that another process's connection took in the meantime, or that one
    left a moment ago (TIME_WAIT), would be in the way of a server that starts later.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.socket() as found:
            found.bind(("", port))
            return port


def free_ports(count: int) -> list[int]:
    """As many ports as asked for, none twice."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
