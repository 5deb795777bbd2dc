"""Command sets: elements of group 0000 in Implicit VR Little Endian (PS3.7 6.3.1, E.1).

A parser of its own because a command comes with every instance, has a dozen known
elements, and is the first thing of a peer that is interpreted.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from isocenter.core.errors import MalformedError

MAX_COMMAND_BYTES = 16 * 1024
"""Largest command set taken; real ones have some hundred bytes."""
NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without data set."""
_RESPONSE = 0x8000

_HEADER = struct.Struct("<HHL")
_U16 = struct.Struct("<H")
_TAG = struct.Struct("<HH")


class Element(IntEnum):
    """Element numbers of group 0000 (PS3.7 E.1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS = 0x0002
    REQUESTED_SOP_CLASS = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    RESPONDED_TO = 0x0120
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE = 0x1000
    REQUESTED_SOP_INSTANCE = 0x1001
    EVENT_TYPE = 0x1002
    ACTION_TYPE = 0x1008


class CommandField(IntEnum):
    """Command Field (0000,0100) of the requests that are known here (PS3.7 E.1)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF

    @property
    def response(self) -> int:
        """Command Field of its response."""
        return self | _RESPONSE


@dataclass(frozen=True, slots=True)
class CommandSet:
    """Values of a command set by element number, as they came."""

    elements: Mapping[int, bytes]

    @classmethod
    def decode(cls, encoded: bytes | bytearray) -> Self:
        """Parse a whole command set.

        Group Length (0000,0000) is not compared: what ends the set is the last
        fragment, and senders that count wrongly exist.

        Raises:
            MalformedError: not elements of group 0000 in ascending order.
        """
        elements: dict[int, bytes] = {}
        at, end, last = 0, len(encoded), -1
        while at < end:
            if end - at < _HEADER.size:
                raise MalformedError("the command set ends within an element")
            group, element, length = _HEADER.unpack_from(encoded, at)
            at += _HEADER.size
            if group or element <= last:
                raise MalformedError(
                    "not a command set: an element out of place (PS3.7 6.3.1)"
                )
            if length > end - at:
                raise MalformedError("the command set ends within an element")
            elements[element] = bytes(encoded[at : at + length])
            at, last = at + length, element
        return cls(elements)

    def number(self, element: Element) -> int | None:
        """A value of VR US; None if absent.

        Raises:
            MalformedError: not two bytes.
        """
        value = self.elements.get(element)
        if value is None:
            return None
        if len(value) != 2:  # noqa: PLR2004 - bytes of VR US
            raise MalformedError(f"(0000,{element:04X}) of the command is not a number")
        return int.from_bytes(value, "little")

    def required(self, element: Element) -> int:
        """A value of VR US that every such message has.

        Raises:
            MalformedError: absent, or not two bytes.
        """
        value = self.number(element)
        if value is None:
            raise MalformedError(f"(0000,{element:04X}) of the command is missing")
        return value

    def uid(self, element: Element) -> str:
        """A value of VR UI without its padding, unchecked; empty if absent."""
        return self.elements.get(element, b"").decode("ascii", "replace").strip("\0 ")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows.

        Raises:
            MalformedError: Command Data Set Type (0000,0800) is missing.
        """
        return self.required(Element.DATA_SET_TYPE) != NO_DATA_SET


def number(element: Element, value: int) -> tuple[int, bytes]:
    """An element of VR US."""
    return element, _U16.pack(value)


def uid(element: Element, value: str) -> tuple[int, bytes]:
    """An element of VR UI."""
    encoded = value.encode("ascii", "replace")
    return element, encoded + b"\0" * (len(encoded) % 2)


def text(element: Element, value: str) -> tuple[int, bytes]:
    """An element of VR LO."""
    encoded = value.encode("ascii", "replace")
    return element, encoded + b" " * (len(encoded) % 2)


def tag(element: Element, value: int) -> tuple[int, bytes]:
    """An element of VR AT with one tag, 0xGGGGEEEE."""
    return element, _TAG.pack(value >> 16, value & 0xFFFF)


def encode(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """A command set, Group Length first.

    Args:
        elements: number and even value of each but Group Length, ascending.
    """
    body = b"".join(
        [_HEADER.pack(0, element, len(value)) + value for element, value in elements]
    )
    return _HEADER.pack(0, 0, 4) + struct.pack("<L", len(body)) + body
