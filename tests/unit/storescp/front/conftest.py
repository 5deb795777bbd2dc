"""Doors in this process, and certificates for them."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.certificates import self_signed
from support.dimse_sender import DimseSender

from isocenter.storescp.association.negotiation import Acceptance
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.front.door import Door
from isocenter.storescp.front.limits import Limits
from isocenter.storescp.front.listening import Listener, bind
from isocenter.storescp.peers import AllowedPeer


@dataclass
class Opened:
    """A door, and what came through it."""

    door: Door
    port: int
    registry: Registry
    served: list = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def sender(self, **more):
        return DimseSender.connect(self.port, **more)

    def serve(self, sock, negotiated):
        self.served.append((sock, negotiated))
        self.end.wait(10)


@pytest.fixture
def open_door():
    """Opens doors; associations last until the test ends or sets ``end``."""
    opened = []

    def open_one(
        *, allowed=("*",), limits=None, certificates=None, board=None, listener=None
    ):
        listener = listener or Listener(bind("127.0.0.1", 0), certificates is not None)
        registry = Registry()
        one = Opened(None, listener.socket.getsockname()[1], registry)
        one.door = Door(
            [listener],
            acceptance=Acceptance(
                frozenset({"S3SCP"}),
                [AllowedPeer.model_validate(peer) for peer in allowed],
            ),
            limits=limits or Limits(),
            serve=lambda *given: one.serve(*given),  # noqa: PLW0108 - tests replace it
            registry=registry,
            certificates=certificates,
            board=board,
        )
        one.door.start()
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.end.set()
        one.door.close()


def make_pair(folder, name="scp"):
    """A certificate for this host and its key, as files."""
    return self_signed(folder, name, organization="St. Mary")


@pytest.fixture
def pair_in():
    return make_pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Paths of a certificate and its key."""
    return make_pair(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def descriptors():
    """Counts this process's open files."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))
