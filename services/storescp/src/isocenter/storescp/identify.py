"""Finds the identifying UIDs of a data set, without decoding the data set.

Only the top level's elements up to Series Instance UID (0020,000E) are walked, and
values are skipped, so the cost does not grow with the instance: memory stays at some
hundred bytes for any input. Encoding rules: PS3.5 section 7 (elements, undefined
length, sequences), 6.2.2 (UN), A.5 (deflated).
"""

import re
import string
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, NamedTuple, Protocol

from isocenter.storescp.status import StoreRefusedError, StoreStatus

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset(
    {
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    }
)
"""Transfer syntaxes whose whole data set is one deflate stream."""

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_WANTED = {
    _SOP_CLASS: "SOP Class UID",
    _SOP_INSTANCE: "SOP Instance UID",
    _STUDY: "Study Instance UID",
    _SERIES: "Series Instance UID",
}
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_LONG_HEADER = 12
"""Bytes of an element's header that has a 32-bit length behind its VR (PS3.5 7.1.2)."""
_LITTLE, _BIG = (
    tuple(struct.Struct(f"{order}{kind}") for kind in ("HH", "H", "L"))
    for order in "<>"
)
_LETTERS = frozenset(
    f"{first}{second}".encode()
    for first in string.ascii_uppercase
    for second in string.ascii_uppercase
)
"""What can be a VR, known or not."""
_MAX_UID = 64
_MAX_DEPTH = 32
_MAX_ELEMENTS = 100_000
"""Elements looked at, items included: a gigabyte of zeros is 134 million of them."""
_MAX_INFLATED = 64 * 1024 * 1024
"""Bytes of a deflated data set that are looked at: real headers are far smaller."""

# PS3.5 9.1, but for leading zeros of a component: scanners that write them exist,
# and refusing their images helps nobody.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@lru_cache(maxsize=256)
def is_uid(text: str) -> bool:
    """Whether ``text`` is made of the characters of a UID, 64 at most (PS3.5 9.1)."""
    return len(text) <= _MAX_UID and _UID.fullmatch(text) is not None


class Identity(NamedTuple):
    """The UIDs that say what an instance is."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


def identify(data_set: BinaryIO, transfer_syntax_uid: str) -> Identity:
    """The UIDs of a data set.

    Args:
        data_set: positioned at the data set's first byte.
        transfer_syntax_uid: of the presentation context it came by.

    Raises:
        StoreRefusedError: it can't be parsed, or a UID is missing or not a UID.
    """
    source: _Source = _File(data_set)
    if transfer_syntax_uid in DEFLATED:
        source = _Inflated(data_set)
    walker = _Walker(source, big=transfer_syntax_uid == BIG_ENDIAN)
    return _identity(dict(walker.values()))


def identify_start(start: bytes, transfer_syntax_uid: str) -> Identity | None:
    """The UIDs of an ordinary data set, from its first bytes.

    Nearly all have them there, with no sequence before: ``identify`` goes the same way
    with a hundred calls more.

    Args:
        start: of the data set.
        transfer_syntax_uid: as for ``identify``.

    Returns:
        None if only ``identify`` can tell.

    Raises:
        StoreRefusedError: a UID is missing or not a UID.
    """
    if transfer_syntax_uid in DEFLATED:
        return None
    pair, u16, u32 = _BIG if transfer_syntax_uid == BIG_ENDIAN else _LITTLE
    values: dict[int, bytes] = {}
    at, last = 0, len(start) - _LONG_HEADER
    explicit = start[4:6] in _LETTERS
    while at <= last:
        group, element = pair.unpack_from(start, at)
        tag, vr = group << 16 | element, start[at + 4 : at + 6]
        if not explicit or vr not in _LETTERS:
            (length,) = u32.unpack_from(start, at + 4)
            at += 8
        elif vr in _LONG_VR:
            (length,) = u32.unpack_from(start, at + 8)
            at += _LONG_HEADER
        else:
            (length,) = u16.unpack_from(start, at + 6)
            at += 8
        if tag > _SERIES:
            return _identity(values)
        if tag in _WANTED:
            values[tag] = start[at : at + length]
            if length > _MAX_UID + 1 or len(values[tag]) < length:
                return None
            if tag == _SERIES:
                return _identity(values)
        elif length == _UNDEFINED or group == 0xFFFE:  # noqa: PLR2004 - items, PS3.5 7.5
            return None
        at += length
    return None


def _identity(values: dict[int, bytes]) -> Identity:
    return Identity(
        sop_class_uid=_uid(values, _SOP_CLASS),
        sop_instance_uid=_uid(values, _SOP_INSTANCE),
        study_instance_uid=_uid(values, _STUDY),
        series_instance_uid=_uid(values, _SERIES),
    )


def tag_text(tag: int) -> str:
    """``(gggg,eeee)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _not_understood(comment: str, tag: int | None = None) -> StoreRefusedError:
    return StoreRefusedError(StoreStatus.CANNOT_UNDERSTAND, comment, offending=tag)


def _uid(values: dict[int, bytes], tag: int) -> str:
    text = values.get(tag, b"").decode("ascii", "replace").strip("\0 ")
    if not is_uid(text):
        fault = "is not a UID" if values.get(tag) else "is missing"
        raise _not_understood(f"{_WANTED[tag]} {tag_text(tag)} {fault}", tag)
    return text


class _Source(Protocol):
    def read(self, count: int) -> bytes: ...

    def skip(self, count: int) -> None: ...


class _File:
    """Bytes of a seekable file; skipping costs nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._file.seek(count, 1)


class _Inflated:
    """Bytes of a raw deflate stream, inflated piece by piece (PS3.5 A.5)."""

    _PIECE = 64 * 1024

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = b""
        self._total = 0

    def read(self, count: int) -> bytes:
        taken = bytearray()
        while len(taken) < count and self._fill():
            step = self._ready[: count - len(taken)]
            self._ready = self._ready[len(step) :]
            taken += step
        return bytes(taken)

    def skip(self, count: int) -> None:
        while count and self._fill():
            step = min(count, len(self._ready))
            self._ready = self._ready[step:]
            count -= step

    def _fill(self) -> bool:
        """Have at least one byte ready, if there is one."""
        while not self._ready and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(self._PIECE)
            if not packed:
                return False
            try:
                self._ready = self._inflate.decompress(packed, self._PIECE)
            except zlib.error as error:
                raise _not_understood("the deflated data set is damaged") from error
            self._total += len(self._ready)
            if self._total > _MAX_INFLATED:
                raise _not_understood("no Series Instance UID in the first 64 MiB")
        return bool(self._ready)


class _Walker:
    """Goes over a data set's elements in order, reading only what is wanted."""

    def __init__(self, source: _Source, *, big: bool) -> None:
        self._source = source
        self._tag, self._u16, self._u32 = _BIG if big else _LITTLE
        self._explicit: bool | None = None
        self._seen = 0

    def values(self) -> Iterator[tuple[int, bytes]]:
        """Tag and value of each wanted element, until the last or the end.

        Raises:
            StoreRefusedError: an element can't be walked over.
        """
        last = max(_WANTED)
        while (header := self._element(explicit=self._explicit)) is not None:
            tag, vr, length = header
            if tag > last:
                return
            if tag in _WANTED:
                yield tag, self._value(tag, length)
                if tag == last:
                    return
            else:
                self._skip(tag, vr, length, depth=0)

    def _element(self, *, explicit: bool | None) -> tuple[int, bytes, int] | None:
        """Tag, VR (empty if implicit) and length of the next element."""
        self._seen += 1
        if self._seen > _MAX_ELEMENTS:
            raise _not_understood("no Series Instance UID in 100,000 elements")
        start = self._source.read(8)
        if len(start) < 8:  # noqa: PLR2004 - tag and length, PS3.5 7.1.3
            return None
        group, element = self._tag.unpack_from(start)
        tag = group << 16 | element
        vr = start[4:6]
        lettered = vr in _LETTERS
        if self._explicit is None:
            # The first element decides, whatever was negotiated: data sets that
            # contradict their transfer syntax exist, and readers cope like this.
            explicit = self._explicit = lettered
        if group == 0xFFFE or not explicit or not lettered:  # noqa: PLR2004 - items have no VR, PS3.5 7.5
            return tag, b"", self._u32.unpack_from(start, 4)[0]
        if vr not in _LONG_VR:
            return tag, vr, self._u16.unpack_from(start, 6)[0]
        rest = self._source.read(4)
        if len(rest) < 4:  # noqa: PLR2004 - 32-bit length, PS3.5 7.1.2
            raise _not_understood(f"the data set ends within {tag_text(tag)}")
        return tag, vr, self._u32.unpack(rest)[0]

    def _value(self, tag: int, length: int) -> bytes:
        if length > _MAX_UID + 1:
            raise _not_understood(f"{_WANTED[tag]} {tag_text(tag)} is not a UID", tag)
        value = self._source.read(length)
        if len(value) < length:
            raise _not_understood(f"the data set ends within {tag_text(tag)}", tag)
        return value

    def _skip(self, tag: int, vr: bytes, length: int, *, depth: int) -> None:
        """Pass a value; one of undefined length is a list of items (PS3.5 7.5)."""
        if length != _UNDEFINED:
            self._source.skip(length)
            return
        if depth >= _MAX_DEPTH:
            raise _not_understood("sequences are nested too deeply", tag)
        # Items of an UN of undefined length are Implicit VR (PS3.5 6.2.2 note).
        explicit = bool(self._explicit) and vr != b"UN"
        while True:
            item = self._element(explicit=False)
            if item is None:
                raise _not_understood(f"the data set ends within {tag_text(tag)}")
            item_tag, _, item_length = item
            if item_tag == _SEQUENCE_END:
                return
            if item_tag != _ITEM:
                raise _not_understood(f"no item in sequence {tag_text(tag)}", tag)
            if item_length != _UNDEFINED:
                self._source.skip(item_length)
            else:
                self._skip_item(tag, explicit=explicit, depth=depth + 1)

    def _skip_item(self, sequence: int, *, explicit: bool, depth: int) -> None:
        """Pass an item of undefined length, up to its delimiter (PS3.5 7.5.2)."""
        while (header := self._element(explicit=explicit)) is not None:
            tag, vr, length = header
            if tag == _ITEM_END:
                return
            self._skip(tag, vr, length, depth=depth)
        raise _not_understood(f"the data set ends within {tag_text(sequence)}")
