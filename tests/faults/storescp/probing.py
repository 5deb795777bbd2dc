"""TCP probes, as of load balancers and kubelets: connect, and close without a byte.

``python probing.py COUNT PORT…`` makes them as fast as they are accepted; half end with
FIN, half with RST, and they come from many addresses of 127/8.
"""

import socket
import struct
import sys

_RST = struct.pack("ii", 1, 0)
_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT: the port is chosen by the connection
_TURN = 256
"""Probes until one waits to be noticed: half of the backlog. With a full backlog the
kernel drops a connection's first packet, which is repeated a second later."""


def probe(port, number, *, wait=False):
    with socket.socket() as connection:
        connection.setsockopt(socket.IPPROTO_IP, _NO_PORT, 1)
        connection.bind((f"127.0.{number // 250 % 4 + 5}.{number % 250 + 1}", 0))
        if wait:
            connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        if wait:
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1):
                raise AssertionError("a probe was answered")
        elif number & 1:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)


def main():
    count, *ports = map(int, sys.argv[1:])
    for number in range(count):
        probe(ports[number // 2 % len(ports)], number)
        if number % _TURN == 0:
            for port in set(ports):
                probe(port, number, wait=True)


if __name__ == "__main__":
    main()
