"""Reads the few elements of an N-ACTION's data set that count. Pure.

A data set of 4 MiB may have half a million items, which as objects would take more
memory than a whole process should: here nothing is kept but the wanted values, and what
is walked over is bounded. Encoding rules: PS3.5 section 7, in Implicit or Explicit VR
Little Endian (no other is accepted for storage commitment).
"""

import struct
from dataclasses import dataclass, field

from isocenter.storescp.commitment.standard import (
    MAX_REFERENCES,
    ActionRefusedError,
    ActionStatus,
)

TRANSACTION_UID = 0x00081195
REFERENCED_SOP_SEQUENCE = 0x00081199
REFERENCED_SOP_CLASS_UID = 0x00081150
REFERENCED_SOP_INSTANCE_UID = 0x00081155

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_TAG, _U16, _U32 = struct.Struct("<HH"), struct.Struct("<H"), struct.Struct("<L")
_MAX_DEPTH = 16
_MAX_ELEMENTS = 12 * MAX_REFERENCES
"""Items and delimiters included: six for each reference, and as much again."""


class BrokenError(ValueError):
    """The bytes are no data set."""


@dataclass
class Wanted:
    """The values that count, as bytes.

    Attributes:
        transaction_uid: None if it is missing.
        items: of Referenced SOP Sequence, each by tag; None if it is missing.
    """

    transaction_uid: bytes | None = None
    items: list[dict[int, bytes]] | None = field(default=None)


class _Walker:
    def __init__(self, content: bytes, *, explicit: bool) -> None:
        self._content = content
        self._explicit = explicit
        self._seen = 0

    def wanted(self) -> Wanted:
        found, at = Wanted(), 0
        while at < len(self._content):
            tag, vr, length, at = self._element(at, explicit=self._explicit)
            if tag == TRANSACTION_UID:
                found.transaction_uid = self._value(at, length)
            if tag == REFERENCED_SOP_SEQUENCE:
                found.items = []
                at = self._items(at, length, self._inner(vr), found.items)
            else:
                at = self._after(at, length, self._inner(vr), depth=0)
        return found

    def _inner(self, vr: bytes) -> bool:
        """Whether items have explicit VRs: those of an UN have not (PS3.5 6.2.2)."""
        return self._explicit and vr != b"UN"

    def _element(self, at: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR (empty if implicit), length, and where the value begins."""
        self._seen += 1
        if self._seen > _MAX_ELEMENTS:
            raise ActionRefusedError(
                ActionStatus.RESOURCE_LIMITATION, "too many elements in the data set"
            )
        content = self._content
        try:
            group, element = _TAG.unpack_from(content, at)
            tag = group << 16 | element
            if not explicit or group == 0xFFFE:  # noqa: PLR2004 - items have no VR, PS3.5 7.5
                return tag, b"", _U32.unpack_from(content, at + 4)[0], at + 8
            vr = content[at + 4 : at + 6]
            if vr in _LONG_VR:
                return tag, vr, _U32.unpack_from(content, at + 8)[0], at + 12
            return tag, vr, _U16.unpack_from(content, at + 6)[0], at + 8
        except struct.error:
            raise BrokenError("the data set ends within an element") from None

    def _end(self, at: int, length: int) -> int:
        if at + length > len(self._content):
            raise BrokenError("the data set ends within an element")
        return at + length

    def _value(self, at: int, length: int) -> bytes:
        return (
            b"" if length == _UNDEFINED else self._content[at : self._end(at, length)]
        )

    def _items(
        self, at: int, length: int, explicit: bool, items: list[dict[int, bytes]]
    ) -> int:
        """Take the references; answers where the sequence ends."""
        end = None if length == _UNDEFINED else self._end(at, length)
        while end is None or at < end:
            tag, _, item_length, at = self._element(at, explicit=False)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise BrokenError("no item in a sequence")
            if len(items) == MAX_REFERENCES:
                raise ActionRefusedError(
                    ActionStatus.RESOURCE_LIMITATION,
                    f"more than {MAX_REFERENCES} references",
                )
            item: dict[int, bytes] = {}
            at = self._item(at, item_length, explicit, item)
            items.append(item)
        return at

    def _item(
        self, at: int, length: int, explicit: bool, found: dict[int, bytes]
    ) -> int:
        end = None if length == _UNDEFINED else self._end(at, length)
        while end is None or at < end:
            tag, vr, value_length, at = self._element(at, explicit=explicit)
            if tag == _ITEM_END:
                break
            if tag in (REFERENCED_SOP_CLASS_UID, REFERENCED_SOP_INSTANCE_UID):
                found[tag] = self._value(at, value_length)
            at = self._after(at, value_length, explicit and vr != b"UN", depth=1)
        return at

    def _after(self, at: int, length: int, explicit: bool, *, depth: int) -> int:
        """Where a value ends; one of undefined length is a list of items."""
        if length != _UNDEFINED:
            return self._end(at, length)
        if depth > _MAX_DEPTH:
            raise BrokenError("sequences are nested too deeply")
        while True:
            tag, _, item_length, at = self._element(at, explicit=False)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise BrokenError("no item in a sequence")
            if item_length != _UNDEFINED:
                at = self._end(at, item_length)
                continue
            while True:
                tag, vr, value_length, at = self._element(at, explicit=explicit)
                if tag == _ITEM_END:
                    break
                inner = explicit and vr != b"UN"
                at = self._after(at, value_length, inner, depth=depth + 1)


def wanted(content: bytes, *, explicit: bool) -> Wanted:
    """The values that count.

    Args:
        content: the data set.
        explicit: whether its elements have their VR.

    Raises:
        BrokenError: it can't be walked over.
        ActionRefusedError: it is too large for that.
    """
    return _Walker(content, explicit=explicit).wanted()
