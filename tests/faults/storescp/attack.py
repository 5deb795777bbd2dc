"""Peers that mean no good, as a process of their own.

``python attack.py PORT SILENT SLOW CLAIMS`` keeps that many connections of each kind
open until it gets SIGTERM, opening one again a second after the service closed it, and
then prints as JSON how many it opened. Addresses are of 127/8: most come from many, as
of a network gone mad; the ones that get an association come from one of a kind, as of
a device gone mad.

- silent: says nothing at all;
- slow: one byte a second, of an A-ASSOCIATE-RQ or (one in five) of a P-DATA-TF;
- claims: a PDU of 4 GiB and as much of it as is taken, half of them within an
  association.
"""

import json
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # as a script: tests/ holds the packages
    sys.path.insert(0, str(Path(__file__).parents[2]))

from faults.storescp import wire

_AGAIN_S = 1.0
_BURST = bytes(65536)
_EACH = 1 << 20
"""Bytes of a claimed PDU that are offered in a second."""


@dataclass(eq=False)
class Attacker:
    """One connection that is opened again and again."""

    kind: str
    source: str
    associates: bool = False
    connection: socket.socket | None = None
    due: float = 0.0
    at: int = 0
    established: bool = False


def attackers(silent, slow, claims):
    for n in range(silent):
        yield Attacker("silent", f"127.0.1.{n % 250 + 1}")
    for n in range(slow):
        inside = n % 5 == 0
        source = "127.0.2.254" if inside else f"127.0.2.{n % 250 + 1}"
        yield Attacker("slow", source, associates=inside)
    for n in range(claims):
        inside = n % 2 == 0
        source = "127.0.4.254" if inside else f"127.0.4.{n % 250 + 1}"
        yield Attacker("claims", source, associates=inside)


class Attack:
    """All attackers, in one thread."""

    def __init__(self, port, all_of_them):
        self._port = port
        self._all = list(all_of_them)
        self._selector = selectors.DefaultSelector()
        self.opened, self.closed = Counter(), Counter()
        self.stopped = False

    def run(self):
        while not self.stopped:
            now = time.monotonic()
            for one in self._all:
                if now >= one.due:
                    one.due = now + _AGAIN_S
                    self._turn(one)
            for key, _ in self._selector.select(0.1):
                self._heard(key.data)

    def _turn(self, one):
        """Once a second: connect, or say what there is to be said."""
        if one.connection is None:
            self._open(one)
        try:
            if one.kind == "slow":
                self._drip(one)
            elif one.kind == "claims":
                self._claim(one)
        except BlockingIOError:
            return
        except OSError:
            self._close(one)

    def _open(self, one):
        one.connection = connection = socket.socket()
        connection.setblocking(False)
        connection.bind((one.source, 0))
        connection.connect_ex(("127.0.0.1", self._port))
        self._selector.register(connection, selectors.EVENT_READ, one)
        one.at, one.established = 0, False
        self.opened[one.kind] += 1

    def _close(self, one):
        self._selector.unregister(one.connection)
        one.connection.close()
        one.connection = None
        self.closed[one.kind] += 1

    def _heard(self, one):
        try:
            heard = one.connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self._close(one)
        elif one.associates and heard[0] == wire.AC:
            one.established, one.at = True, 0

    def _drip(self, one):
        content = _RQ if not one.established else _STORE
        if one.associates and not one.established:
            if not one.at:
                one.at = one.connection.send(_RQ)
            return
        one.at += one.connection.send(content[one.at : one.at + 1])

    def _claim(self, one):
        if one.associates and not one.established:
            if not one.at:
                one.at = one.connection.send(_RQ)
            return
        if not one.at:
            kind = wire.DATA if one.established else wire.RQ
            one.at = one.connection.send(wire.pdu(kind, b"", 0xFFFFFFFF))
        for _ in range(_EACH // len(_BURST)):
            one.connection.send(_BURST)


_RQ = wire.associate_rq(calling="MAD")
_STORE = b"".join(wire.store_pdus("1.2.3.4.5.6", wire.data_set("1.2.3.4.5.6", 50_000)))


def main():
    port, *counts = map(int, sys.argv[1:])
    attack = Attack(port, attackers(*counts))

    def stop(*_):
        attack.stopped = True

    signal.signal(signal.SIGTERM, stop)
    attack.run()
    json.dump({"opened": attack.opened, "closed": attack.closed}, sys.stdout)


if __name__ == "__main__":
    main()
