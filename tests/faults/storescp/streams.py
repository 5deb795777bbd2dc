"""What a broken or hostile requestor sends, by number: the same seed and number are
always the same bytes.

A conversation is written as a good requestor would, by a writer that gets something
wrong now and then: a length, a field, an item, a fragment, an order. Some are cut,
flipped or doubled as bytes afterwards.
"""

import random
import struct
from dataclasses import dataclass, field

from faults.storescp import wire

_LENGTHS = (0, 1, 2, 5, 6, 7, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF)
_UIDS = (
    "",
    "1",
    "../../../../etc/passwd",
    "1.2.3/4",
    "1.2.3\0.4",
    ".",
    "..",
    "1." * 40 + "1",
    "1.2.840.10008.1.2.4.202",
    "Doe^Jane",
    "\x1b[31m",
    "9" * 64,
    "1.2.3 ",
    "1..2",
)
_TITLES = ("", " " * 16, "A" * 16, "A\\B", "\x00" * 16, "\x1b[2J\nERROR", "é" * 8, "*")
_NUMBERS = ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.42", "1.2.3.4", wire.CT)


@dataclass(frozen=True)
class Stream:
    """One connection's bytes.

    Attributes:
        request: up to the end of the A-ASSOCIATE-RQ.
        rest: what follows, PDU by PDU.
        patient: whether the requestor waits for an answer before it goes on.
        pieces: bytes at a time, 0 for all at once.
        good: whether nothing was made wrong.
    """

    request: bytes
    rest: tuple[bytes, ...]
    patient: bool
    pieces: int
    good: bool

    @property
    def pdus(self):
        return 1 + len(self.rest)


@dataclass
class Clumsy:
    """Writes PDUs, and gets some of them wrong.

    Attributes:
        rate: how often something is.
        slips: how often something was.
    """

    rng: random.Random
    rate: float
    slips: int = 0
    uids: list[str] = field(default_factory=list)

    def slip(self):
        slipped = self.rng.random() < self.rate
        self.slips += slipped
        return slipped

    def length(self, true, bits):
        """A length, or something near, or something far."""
        if not self.slip():
            return min(true, (1 << bits) - 1)  # made too long for its field: cut
        wrong = self.rng.choice((true - 1, true + 1, true * 2, *_LENGTHS))
        return max(0, wrong) & ((1 << bits) - 1)

    def number(self, true, bits=8):
        if not self.slip():
            return true
        return self.rng.choice((0, 255, true ^ 1, self.rng.getrandbits(bits))) & (
            (1 << bits) - 1
        )

    def bytes(self, true):
        """A value, or the same with something done to it."""
        if not self.slip():
            return true
        changed = bytearray(true or b"\0")
        match self.rng.randrange(6):
            case 0:
                changed.clear()
            case 1:
                changed += self.rng.randbytes(self.rng.choice((1, 2, 64, 2000)))
            case 2:
                del changed[self.rng.randrange(len(changed)) :]
            case 3:
                changed *= self.rng.choice((2, 3, 200))
            case 4:
                changed[:] = self.rng.randbytes(len(changed))
            case 5:
                at = self.rng.randrange(len(changed))
                changed[at] ^= 1 << self.rng.randrange(8)
        return bytes(changed)

    def uid(self, true):
        if not self.slip():
            return true
        return self.rng.choice((*_UIDS, *_NUMBERS))

    def order(self, things):
        """Things, now and then one fewer, one more, or in another order."""
        things = list(things)
        if things and self.slip():
            at = self.rng.randrange(len(things))
            match self.rng.randrange(4):
                case 0:
                    del things[at]
                case 1:
                    things.insert(at, things[at])
                case 2:
                    self.rng.shuffle(things)
                case 3:
                    things[at:at] = [things[at]] * self.rng.choice((3, 130, 300))
        return things

    def item(self, kind, body):
        body = self.bytes(body)
        return wire.item(self.number(kind), body, self.length(len(body), 16))

    def pdu(self, kind, body):
        return wire.pdu(self.number(kind), body, self.length(len(body), 32))

    def pdv(self, number, control, body):
        body = self.bytes(body)
        return wire.pdv(
            self.number(number),
            self.number(control),
            body,
            self.length(len(body) + 2, 32),
        )

    def context(self, number, abstract, *transfers):
        items = [self.item(0x30, self.uid(abstract).encode())]
        items += [self.item(0x40, self.uid(each).encode()) for each in transfers]
        head = struct.pack("BBBB", self.number(number), 0, self.number(0), 0)
        return self.item(0x20, head + b"".join(self.order(items)))

    def associate_rq(self):
        operations = self.rng.choice((None, 1, 8, 0, 65535))
        user = [
            self.item(0x51, struct.pack(">I", self.length(16384, 32))),
            self.item(0x52, self.uid("1.2.3.4.5").encode()),
            self.item(0x55, self.bytes(b"CLUMSY")),
        ]
        if operations is not None:
            user.append(self.item(0x53, struct.pack(">HH", operations, 1)))
        if self.rng.random() < 0.2:
            role = self.uid(wire.CT).encode()
            user.append(self.item(0x54, struct.pack(">H", len(role)) + role + b"\1\1"))
        if self.rng.random() < 0.1:  # extended negotiation and user identity
            user.append(self.item(0x56, b"\0\5" + b"1.2.3" + b"\1\1\1"))
            user.append(self.item(0x58, b"\2\1\0\4user\0\4pass"))
        contexts = [
            self.context(1, wire.VERIFICATION, wire.IMPLICIT),
            self.context(3, wire.CT, wire.EXPLICIT, wire.IMPLICIT),
            self.context(5, wire.CT, wire.IMPLICIT),
            self.context(7, wire.COMMITMENT, wire.IMPLICIT),
        ]
        items = [
            self.item(0x10, self.uid(wire.APPLICATION).encode()),
            *self.order(contexts),
            self.item(0x50, b"".join(self.order(user))),
        ]
        body = (
            struct.pack(">HH", self.number(1, 16), self.number(0, 16))
            + self._title("S3SCP")
            + self._title("CLUMSY")
            + bytes(32)
            + b"".join(self.order(items))
        )
        return self.pdu(wire.RQ, body)

    def _title(self, true):
        text = self.rng.choice(_TITLES) if self.slip() else true
        return text.encode("latin-1")[:16].ljust(16)

    def command_set(self, elements):
        """(tag, value) pairs as a command set."""
        body = b""
        for tag, true in self.order(elements):
            value = self.bytes(true)
            number = self.number(tag & 0xFFFF, 16)
            length = self.length(len(value), 32)
            body += struct.pack("<HHI", self.number(0, 16), number, length) + value
        total = struct.pack("<I", self.length(len(body), 32))
        return wire.element(0, total) + body

    def data(self, number, control, body):
        """P-DATA-TF PDUs of a message's part, in one fragment or in several."""
        count = self.rng.choice((1, 1, 1, 2, 5))
        size = max(1, -(-len(body) // count))
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        last = len(parts) - 1
        pdvs = self.order(
            self.pdv(number, (control & 1) | (2 if at == last else 0), part)
            for at, part in enumerate(parts)
        )
        if self.rng.random() < 0.3:
            return [self.pdu(wire.DATA, b"".join(pdvs))]
        return [self.pdu(wire.DATA, each) for each in pdvs]

    def echo(self):
        command = [
            (0x0002, wire.ui(wire.VERIFICATION)),
            (0x0100, wire.us(self.number(0x30, 16))),
            (0x0110, wire.us(self.rng.randrange(65536))),
            (0x0800, wire.us(wire.NO_DATA_SET)),
        ]
        return self.data(1, 1, self.command_set(command))

    def store(self):
        uid = f"1.2.3.{self.rng.getrandbits(60)}"
        said = self.uid(uid)
        command = [
            (0x0002, wire.ui(self.uid(wire.CT))),
            (0x0100, wire.us(self.number(1, 16))),
            (0x0110, wire.us(self.rng.randrange(65536))),
            (0x0700, wire.us(0)),
            (0x0800, wire.us(self.number(1, 16))),
            (0x1000, wire.ui(said)),
        ]
        number = self.rng.choice((3, 3, 3, 5))
        encode = wire.explicit if number == 3 else wire.implicit
        elements = wire.instance_elements(self.uid(uid))
        content = b"".join(encode(*each) for each in self.order(elements))
        content += encode(0x7FE00010, "OW", self.rng.randbytes(64))
        self.uids.append(said)
        return [
            *self.data(number, 1, self.command_set(command)),
            *self.data(number, 0, self.bytes(content)),
        ]

    def commitment(self):
        command = [
            (0x0003, wire.ui(self.uid(wire.COMMITMENT))),
            (0x0100, wire.us(self.number(wire.N_ACTION, 16))),
            (0x0110, wire.us(self.rng.randrange(65536))),
            (0x0800, wire.us(1)),
            (0x1001, wire.ui(self.uid("1.2.840.10008.1.20.1.1"))),
            (0x1008, wire.us(self.number(1, 16))),
        ]
        one = wire.implicit(0x00081150, "UI", self.uid(wire.CT).encode())
        one += wire.implicit(0x00081155, "UI", self.uid("1.2.3.9").encode())
        items = b"".join(
            struct.pack("<HHI", 0xFFFE, 0xE000, self.length(len(one), 32)) + one
            for _ in range(self.rng.choice((0, 1, 3)))
        )
        content = wire.implicit(
            0x00081195, "UI", f"1.9.{self.rng.getrandbits(40)}".encode()
        )
        content += struct.pack("<HHI", 0x0008, 0x1199, self.length(len(items), 32))
        return [
            *self.data(7, 1, self.command_set(command)),
            *self.data(7, 0, self.bytes(content + items)),
        ]

    def other(self):
        """A message that isn't for an SCP of storage, or a response nobody awaits."""
        kind = self.rng.choice((0x0FFF, 0x8001, 0x8100, 0x0020, 0x0021, 0x0140, 0x7777))
        command = [
            (0x0002, wire.ui(wire.CT)),
            (0x0100, wire.us(kind)),
            (0x0110 if kind < 0x8000 else 0x0120, wire.us(1)),
            (0x0800, wire.us(self.rng.choice((1, wire.NO_DATA_SET)))),
            (0x0900, wire.us(0)),
        ]
        return self.data(3, 1, self.command_set(command))

    def end(self):
        match self.rng.randrange(6):
            case 0:
                return [self.pdu(wire.ABORT, self.rng.randbytes(4))]
            case 1:
                return []
            case 2:
                return [self.pdu(self.rng.randrange(256), self.rng.randbytes(4))]
            case 3:
                return [self.pdu(wire.RELEASE_RP, bytes(4))]
        return [self.pdu(wire.RELEASE_RQ, self.bytes(bytes(4)))]


def stream(seed, number):
    """The stream of this number."""
    rng = random.Random(f"{seed}/{number}")
    # Most conversations get as far as an association; some not even that.
    early = Clumsy(rng, rng.choice((0, 0, 0, 0.01, 0.05, 0.2)))
    late = Clumsy(rng, rng.choice((0, 0.002, 0.01, 0.03, 0.1)))
    request = early.associate_rq()
    rest = []
    for _ in range(rng.choice((1, 2, 4, 12))):
        made = rng.choice(
            (late.echo, late.store, late.store, late.commitment, late.other)
        )
        rest += made()
    rest += late.end()
    rest = late.order(rest)
    damage = rng.random()
    if damage < 0.1:
        rest = [damaged(rng, each) for each in rest]
    elif damage < 0.2:
        request = damaged(rng, request)
    elif damage < 0.22:
        request, rest = rng.randbytes(rng.randrange(1, 200)), ()
    return Stream(
        request=request,
        rest=tuple(rest),
        patient=rng.random() < 0.9,
        pieces=rng.choice((0, 0, 0, 0, 1460, 7)),
        good=damage >= 0.22 and not early.slips + late.slips,
    )


def damaged(rng, content):
    """Bytes with some of them flipped, cut, doubled or replaced."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if changed:
                changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at : at + rng.randrange(20)]
            case 2:
                changed[at:at] = changed[at : at + rng.randrange(40)]
            case 3:
                changed[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff"))
            case 4:
                changed[at : at + 2] = rng.randbytes(2)
    return bytes(changed)
