"""Listening sockets, and the options of accepted ones."""

import socket

import pytest
from support.instances import eventually

from isocenter.core.errors import ConfigurationError
from isocenter.storescp.front.keepalive import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S
from isocenter.storescp.front.listening import bind

OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): KEEPALIVE_IDLE_S,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): KEEPALIVE_INTERVAL_S,
}
LOAD_BALANCER_FORGETS_S = 350


def test_a_port_in_use_is_named():
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}"):
            bind("127.0.0.1", port)


def test_ipv6_takes_ipv4_too():
    with bind("::", 0) as listening:
        listening.setblocking(True)
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
            accepted, address = listening.accept()
            accepted.close()
    assert address[0] == "::ffff:127.0.0.1"


def test_probes_come_before_a_load_balancer_forgets():
    assert KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S < LOAD_BALANCER_FORGETS_S


def test_the_kernel_probes_silent_peers(open_door):
    opened = open_door()
    with opened.sender() as sender:
        sender.associate()
        ((sock, _),) = eventually(lambda: opened.served)
        assert {option: sock.getsockopt(*option) for option in OPTIONS} == OPTIONS
