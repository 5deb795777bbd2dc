"""Mutated streams of PDUs against one association, without sockets: seeded, fast."""

import random
import struct

import pytest
from support.dimse_sender import (
    ABORT,
    COMMITMENT,
    CT,
    EXPLICIT,
    NO_DATA_SET,
    RELEASE_RQ,
    VERIFICATION,
    message_pdus,
    p_data,
    pdv,
    store_command,
)

from isocenter.storescp.association.association import Association
from isocenter.storescp.association.negotiation import (
    AcceptedContext,
    Negotiated,
    Peer,
)
from isocenter.storescp.association.reader import Patience
from isocenter.storescp.association.transport import NOTHING
from isocenter.storescp.dimse.dispatch import Services
from isocenter.storescp.dimse.service import Outcome
from isocenter.storescp.status import StoreStatus

STREAMS = 900
CONTEXTS = {
    number: AcceptedContext(number, uid, EXPLICIT, as_scp=True, as_scu=False)
    for number, uid in ((1, CT), (3, VERIFICATION), (5, COMMITMENT))
}


class Stream:
    """A transport whose peer has said all it will ever say."""

    def __init__(self, content, rng):
        self.content, self.rng, self.at, self.sent = content, rng, 0, []
        self.silent = rng.random() < 0.2
        self.closed = False

    def receive(self, into, *, whole):
        assert len(into) > 0
        if self.at == len(self.content):
            return NOTHING if self.silent else 0
        most = min(len(into), len(self.content) - self.at)
        count = most if whole else self.rng.randint(1, most)
        into[:count] = self.content[self.at : self.at + count]
        self.at += count
        return count

    def send(self, content):
        self.sent.append(bytes(content))
        if self.rng.random() < 0.01:
            raise ConnectionResetError

    def wake(self, how):
        pass

    def close(self):
        self.closed = True


class Store:
    """Counts what is open: every sink must be finished or abandoned, once."""

    def __init__(self, rng):
        self.rng, self.open_sinks, self.kept = rng, 0, 0

    def open(self, command, peer):
        if self.rng.random() < 0.1:
            raise ValueError("refused")
        self.open_sinks += 1
        return self

    def write(self, piece):
        assert len(piece) > 0
        if self.rng.random() < 0.05:
            raise OSError(28, "full")

    def finish(self):
        self.open_sinks -= 1
        self.kept += 1
        return Outcome(StoreStatus.SUCCESS, bytes=1)

    def abandon(self):
        self.open_sinks -= 1


def pieces(rng):
    """PDUs of a conversation that could be real."""
    data = bytes(rng.choice([0, 1, 100, 5000, 70_000]))
    store = store_command("1.2.3", rng.randrange(65536))
    echo = {0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: 1, 0x0800: NO_DATA_SET}
    yield message_pdus(1, store, data, max_pdu=rng.choice([64, 999, 16384, 131072]))
    yield message_pdus(3, echo)
    yield message_pdus(1, {0x0100: rng.randrange(65536), 0x0110: 2, 0x0800: 1}, data)
    yield message_pdus(5, {0x0100: 0x0130, 0x0110: 3, 0x0800: 1}, data[:100])
    yield p_data(pdv(1, 1, b""), pdv(1, 0, data[:100]))
    yield rng.choice([RELEASE_RQ, ABORT])


def mutated(rng):
    parts = list(pieces(rng))
    for _ in range(rng.randint(0, 3)):
        rng.shuffle(parts)
        del parts[rng.randint(1, len(parts)) :]
        parts += pieces(rng)
    stream = bytearray(b"".join(parts)[:400_000])
    for _ in range(rng.choice([0, 1, 1, 2, 5, 50])):
        at = rng.randrange(min(len(stream), rng.choice([40, 1000, len(stream)])))
        match rng.randrange(4):
            case 0:
                stream[at] = rng.randrange(256)
            case 1:
                del stream[at : at + rng.randint(1, 20)]
            case 2:
                stream[at:at] = rng.randbytes(rng.randint(1, 20))
            case _:
                stream[at : at + 4] = struct.pack(">L", rng.randrange(2**32))
        if not stream:
            break
    return bytes(stream)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_ends_in_order(seed):
    rng = random.Random(seed)
    outcomes = {"released": 0, "aborted": 0}
    kept = 0
    for number in range(STREAMS // 3):
        transport = Stream(mutated(rng), rng)
        store = Store(rng)
        negotiated = Negotiated(
            peer=Peer("198.51.100.1", 1, "FUZZ", "SCP", None),
            contexts=CONTEXTS,
            peer_max_pdu=rng.choice([0, 128, 16384]),
            own_max_pdu=131072,
            operations=1 if number % 20 else 3,
            answer=b"",
            implementation="",
        )
        patience = Patience(idle_s=0.0, message_s=0.0, pdu_s=1.0)
        association = Association(transport, negotiated, Services(store), patience, {})
        end = association.run()
        outcomes[end.outcome] += 1
        assert end.reason != "internal error"
        assert transport.closed
        assert store.open_sinks == 0
        kept += store.kept
    assert min(*outcomes.values(), kept) > 5
