"""Mutated instances, by number: data sets of every encoding, generated and real ones,
with what is identifying in them right, wrong, missing, twice, or inside something.
"""

import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from faults.storescp import wire
from faults.storescp.streams import damaged

SMALL = Path(__file__).parents[2] / "data" / "small"
SYNTAXES = {3: wire.EXPLICIT, 5: wire.IMPLICIT, 7: wire.BIG, 9: wire.DEFLATED}
CONTEXTS = tuple(
    wire.context(number, wire.CT, syntax) for number, syntax in SYNTAXES.items()
)
_UNDEFINED = 0xFFFFFFFF
_LENGTHS = (0, 1, 0xFFFF, 0xFFFE, 1 << 24, 1 << 31, 0xFFFFFFFE, _UNDEFINED)
_UIDS = (
    b"",
    b"1",
    b"Doe^Jane",
    b"../../x",
    b"1.2\0.3",
    b"1" * 65,
    b"\xff\xfe",
    b" 1.2 ",
)
_LONG = frozenset({"OB", "OW", "SQ", "UN", "UT"})


@dataclass(frozen=True)
class Mutated:
    """One instance to be sent.

    Attributes:
        number: of the presentation context.
        uid: what the command says.
        uids: SOP Instance UIDs that are somewhere in the data set.
    """

    number: int
    uid: str
    content: bytes
    good: bool


def mutated(seed, number):
    """The instance of this number."""
    rng = random.Random(f"{seed}/file/{number}")
    uid = wire.uid_of(rng.getrandbits(50))
    context = rng.choice(tuple(SYNTAXES))
    maker = _Maker(rng, SYNTAXES[context], rng.choice((0, 0.005, 0.02, 0.1)))
    content = maker.data_set(uid)
    if rng.random() < 0.25:
        context, content = 3, _real(rng, uid)
        maker.slips += 1
    damage = rng.random()
    if damage < 0.3:
        head = rng.choice((60, 400, len(content)))
        content = damaged(rng, content[:head]) + content[head:]
    elif damage < 0.35:
        content = content[: rng.randrange(len(content) + 1)]
    elif damage < 0.36:
        content = rng.choice((bytes(50_000), b"\xfe\xff\x00\xe0" * 10_000, b""))
    if context == 9:
        content = _deflated(rng, content)
        maker.slips += content[-1] == 0xEE
    elsewhere = rng.random() < 0.03
    return Mutated(
        number=context,
        uid=wire.uid_of(rng.getrandbits(50)) if elsewhere else uid,
        content=content,
        good=damage >= 0.36 and not maker.slips and not elsewhere,
    )


def _deflated(rng, content):
    """The content as one deflate stream (PS3.5 A.5), or nearly."""
    packer = zlib.compressobj(1, wbits=-15)
    packed = packer.compress(content) + packer.flush()
    if rng.random() < 0.3:
        return damaged(rng, packed) + b"\xee"
    if rng.random() < 0.02:  # a bomb
        packer = zlib.compressobj(9, wbits=-15)
        return packer.compress(bytes(1 << 24)) + packer.flush() + b"\xee"
    return packed + b"\0" * (len(packed) % 2)


def _real(rng, uid):
    """A real file's data set, of some encoding or other, sent as an Explicit one."""
    file = rng.choice(sorted(SMALL.glob("*.dcm")))
    content = file.read_bytes()
    at = content.find(b"DICM") + 4
    (length,) = struct.unpack_from("<I", content, at + 8)
    return content[at + 12 + length :][: rng.choice((2_000, 20_000))]


class _Maker:
    """Writes a data set, and gets something wrong now and then."""

    def __init__(self, rng, syntax, rate):
        self._rng = rng
        self._rate = rate
        self._implicit = syntax == wire.IMPLICIT
        self._order = ">" if syntax == wire.BIG else "<"
        self.slips = 0

    def _slip(self):
        slipped = self._rng.random() < self._rate
        self.slips += slipped
        return slipped

    def data_set(self, uid):
        elements = [
            (0x00080005, "CS", b"ISO_IR 192"),
            (0x00080016, "UI", self._uid(wire.CT)),
            (0x00080018, "UI", self._uid(uid)),
            (0x00081140, "SQ", self._sequence(uid, 0)),
            (0x00090010, "LO", b"PRIVATE"),
            (0x00091001, "UN", self._rng.randbytes(6)),
            (0x00100010, "PN", b"Doe^Jane"),
            (0x0020000D, "UI", self._uid("1.2.3.4")),
            (0x0020000E, "UI", self._uid("1.2.3.4.5")),
            (0x7FE00010, "OW", self._rng.randbytes(64)),
        ]
        if self._slip():
            del elements[self._rng.randrange(len(elements))]
        if self._slip():
            elements.append(self._rng.choice(elements))
        if self._slip():
            self._rng.shuffle(elements)
        return b"".join(self._element(*each) for each in elements)

    def _uid(self, true):
        value = self._rng.choice(_UIDS) if self._slip() else true.encode()
        return value + b"\0" * (len(value) % 2)

    def _sequence(self, uid, depth):
        """Items with elements that only the top level's may be taken for."""
        items = b""
        for _ in range(self._rng.choice((0, 1, 2))):
            inner = self._element(0x00080018, "UI", self._uid(uid))
            inner += self._element(0x0020000D, "UI", self._uid("9.9.9"))
            if depth < 3 and self._rng.random() < 0.4:
                inner += self._element(0x00081140, "SQ", self._sequence(uid, depth + 1))
            if self._rng.random() < 0.05:
                self.slips += 1  # deeper than anybody needs; refused or not
                inner = inner + self._nested(self._rng.choice((20, 40, 3000)))
            items += self._item(0xE000, inner, open_end=self._rng.random() < 0.5)
        return items

    def _nested(self, depth):
        head = self._head(0x00081140, "SQ", _UNDEFINED)
        return (head + self._item_head(0xE000, _UNDEFINED)) * depth

    def _item_head(self, element, length):
        return struct.pack(self._order + "HHI", 0xFFFE, element, length)

    def _item(self, element, inner, *, open_end):
        if open_end:
            end = b"" if self._slip() else self._item_head(0xE00D, 0)
            return self._item_head(element, _UNDEFINED) + inner + end
        length = self._length(len(inner))
        return self._item_head(element, length) + inner

    def _length(self, true):
        if not self._slip():
            return true
        return self._rng.choice((max(0, true - 1), true + 1, *_LENGTHS))

    def _element(self, tag, vr, value):
        if self._slip():
            vr = self._rng.choice(("UI", "SQ", "UN", "OB", "ZZ", "\0\0", "  "))
        if vr == "SQ" and self._rng.random() < 0.5:
            end = b"" if self._slip() else self._item_head(0xE0DD, 0)
            return self._head(tag, vr, _UNDEFINED) + value + end
        value += b"\0" * (len(value) % 2)
        return self._head(tag, vr, self._length(len(value))) + value

    def _head(self, tag, vr, length):
        group, element = tag >> 16, tag & 0xFFFF
        if self._implicit:
            return struct.pack(self._order + "HHI", group, element, length)
        head = struct.pack(self._order + "HH2s", group, element, vr.encode())
        if vr in _LONG or len(vr) != 2:
            return head + struct.pack(self._order + "2xI", length)
        return head + struct.pack(self._order + "H", length & 0xFFFF)
