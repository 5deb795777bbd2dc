"""One association served in a thread, over loopback, with a store in memory."""

import socket
import threading
from dataclasses import replace

import pytest
from support.dimse_sender import DimseSender

from isocenter.storescp.association.negotiation import (
    Acceptance,
    Negotiated,
    negotiate,
)
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.association.server import AssociationServer
from isocenter.storescp.dimse.dispatch import Services
from isocenter.storescp.dimse.service import Outcome
from isocenter.storescp.peers import AllowedPeer, Caller
from isocenter.storescp.status import StoreStatus

JOIN_S = 5.0
PATIENCE = Patience(idle_s=5.0, message_s=5.0, pdu_s=5.0, send_s=5.0)


class MemoryStore:
    """Keeps what is finished; ``hold`` keeps ``finish`` waiting, errors are raised."""

    def __init__(self):
        self.kept = {}
        self.abandoned = []
        self.open_error = self.write_error = self.finish_error = None
        self.hold = threading.Event()
        self.hold.set()
        self.finishing = threading.Semaphore(0)
        self.opened = threading.Event()

    def open(self, command, peer):
        self.opened.set()
        if self.open_error is not None:
            raise self.open_error
        return MemorySink(self, command, peer)


class MemorySink:
    def __init__(self, store, command, peer):
        self.store, self.command, self.peer = store, command, peer
        self.content = bytearray()

    def write(self, piece):
        if self.store.write_error is not None:
            raise self.store.write_error
        self.content += piece

    def finish(self):
        self.store.finishing.release()
        assert self.store.hold.wait(JOIN_S)
        if self.store.finish_error is not None:
            raise self.store.finish_error
        self.store.kept[self.command.sop_instance_uid] = bytes(self.content)
        return Outcome(StoreStatus.SUCCESS, bytes=len(self.content))

    def abandon(self):
        self.store.abandoned.append(self.command.sop_instance_uid)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def connect(store, registry):
    """Opens an association and answers its sender; waits for its thread at the end."""
    opened = []

    def connect_one(
        *, contexts=None, patience=PATIENCE, own_max_pdu=131072, action=None,
        delay_s=0.0, server_tls=None, client_tls=None, **more,
    ):  # fmt: skip
        server = AssociationServer(
            Services(store, action, delay_s=delay_s), patience, registry
        )
        acceptance = Acceptance(
            frozenset("*"), [AllowedPeer(aeTitle="*")], max_pdu=own_max_pdu
        )

        def accept(listening):
            sock, address = listening.accept()
            if server_tls is not None:
                sock = server_tls.wrap_socket(sock, server_side=True)
            header = _exactly(sock, 6)
            rest = _exactly(sock, int.from_bytes(header[2:], "big"))
            found = negotiate(header + rest, acceptance, Caller(address[0]), address[1])
            assert isinstance(found, Negotiated)
            sock.sendall(found.answer)
            server.serve(sock, replace(found, own_max_pdu=own_max_pdu))

        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=accept, args=(listening,))
            thread.start()
            port = listening.getsockname()[1]
            sender = DimseSender.connect(port, tls=client_tls)
            opened.append((sender, thread))
            asked = {} if contexts is None else {"contexts": contexts}
            sender.associate(**asked, **more)
        sender.thread = thread
        return sender

    yield connect_one
    store.hold.set()
    for sender, thread in opened:
        sender.sock.close()
        thread.join(JOIN_S)
        assert not thread.is_alive()


def _exactly(sock, count):
    content = b""
    while len(content) < count:
        piece = sock.recv(count - len(content))
        assert piece
        content += piece
    return content
