"""Sockets of associations, as the kernel has them."""

import socket

from pynetdicom.sop_class import Verification

from isocenter.storescp.connection import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S

OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): KEEPALIVE_IDLE_S,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): KEEPALIVE_INTERVAL_S,
}
LOAD_BALANCER_FORGETS_S = 350


def test_probes_come_before_a_load_balancer_forgets():
    assert KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S < LOAD_BALANCER_FORGETS_S


def options(process):
    (association,) = process.entity.active()
    connection = association.dul.socket.socket
    return {option: connection.getsockopt(*option) for option in OPTIONS}


def test_the_kernel_probes_silent_peers(start, associate):
    process = start()
    associate(process, contexts=[(Verification, None)])
    assert options(process) == OPTIONS
