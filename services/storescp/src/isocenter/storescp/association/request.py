"""A-ASSOCIATE-RQ, decoded (PS3.8 9.3.2, Annex D; PS3.7 Annex D.3). Pure.

Hostile peers send these before anything is known of them, so every length is held
against what came, and items that nobody needs, a user's password among them, are not
looked at. Items of unknown types are ignored, as the standard asks.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from isocenter.core.errors import MalformedError
from isocenter.storescp.peers import is_ae_title

MAX_ITEMS = 6144
"""Items in a request, at all levels. The shortest transfer syntax of DICOM takes 21
bytes, so a request of 128 KiB, which is all that is read, has no more if it is real."""
TITLES = slice(10, 74)
"""Where the AE titles, and reserved bytes after them, are in a request."""
_FIXED = struct.Struct(">BxIHxx16s16s32x")
_ITEM = struct.Struct(">BxH")
_APPLICATION_CONTEXT, _CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_MAX_LENGTH, _CLASS_UID, _ASYNC_WINDOW, _ROLES, _VERSION_NAME = range(0x51, 0x56)
_MAX_CONTEXTS = 128
_MAX_ID = 255
_MAX_SYNTAXES = 256
_MAX_UID = 64


@dataclass(frozen=True)
class ProposedContext:
    """A presentation context as the peer proposes it.

    Attributes:
        context_id: odd, 1 to 255.
        abstract_syntax: UID, as it came.
        transfer_syntaxes: UIDs, one or more, in the peer's order.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: Sequence[str]


@dataclass(frozen=True)
class FixedFields:
    """What comes before an A-ASSOCIATE-RQ's items.

    Attributes:
        version_1: whether it is of the protocol's version 1, the only one.
        called_ae: without padding; None if it is no AE title.
        calling_ae: likewise.
        items: the rest, not looked at.
    """

    version_1: bool
    called_ae: str | None
    calling_ae: str | None
    items: bytes


@dataclass(frozen=True)
class AssociateRequest:
    """The items of an A-ASSOCIATE-RQ.

    Attributes:
        application_context: its UID.
        contexts: at least one.
        max_pdu: bytes of P-DATA-TF that the peer takes; 0 for no limit.
        implementation: version name, or class UID if there is no name.
        window: operations that the peer would have outstanding, and would perform
            for us, 0 for any number (PS3.7 D.3.3.3); None if it did not ask.
        roles: for SOP class UIDs, whether the peer would be SCU, and SCP.
    """

    application_context: str
    contexts: Sequence[ProposedContext]
    max_pdu: int = 0
    implementation: str = ""
    window: tuple[int, int] | None = None
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)


def decode_fixed(pdu: bytes) -> FixedFields:
    """Decode what tells who calls whom.

    Args:
        pdu: the whole request, header included.

    Raises:
        MalformedError: it has another length than it says.
    """
    if len(pdu) < _FIXED.size:
        raise MalformedError("A-ASSOCIATE-RQ is shorter than its fixed fields")
    _, length, version, called, calling = _FIXED.unpack_from(pdu)
    if length != len(pdu) - 6:
        raise MalformedError("A-ASSOCIATE-RQ has another length than it says")
    return FixedFields(
        version_1=bool(version & 1),
        called_ae=_title(called),
        calling_ae=_title(calling),
        items=pdu[_FIXED.size :],
    )


def decode_items(content: bytes) -> AssociateRequest:
    """Decode what is proposed.

    Args:
        content: all items.

    Raises:
        MalformedError: they break PS3.8; the text quotes nothing of them.
    """
    items = _Items()
    application: list[str] = []
    contexts: dict[int, ProposedContext] = {}
    user: dict[str, object] = {}
    for kind, value in items.of(content):
        if kind == _APPLICATION_CONTEXT:
            application.append(_text(value))
        elif kind == _CONTEXT:
            context = _context(items, value)
            if context.context_id in contexts:
                raise MalformedError("a presentation context ID is used twice")
            contexts[context.context_id] = context
        elif kind == _USER_INFORMATION:
            user |= _user_information(items, value)
    if len(application) != 1:
        raise MalformedError("A-ASSOCIATE-RQ has not one application context")
    if not 1 <= len(contexts) <= _MAX_CONTEXTS:
        raise MalformedError("A-ASSOCIATE-RQ has no or too many presentation contexts")
    return AssociateRequest(
        application_context=application[0],
        contexts=tuple(contexts.values()),
        **user,  # type: ignore[arg-type]  # names and types are those of _user_information
    )


def _title(field16: bytes) -> str | None:
    # Some devices pad with NUL instead of spaces.
    text = field16.decode("latin-1").rstrip("\0 ").lstrip(" ")
    return text if is_ae_title(text) else None


class _Items:
    """Walks the items of one request, of which there is a most in all."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def of(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Type and content of each item at this level."""
        unpack, head = _ITEM.unpack_from, _ITEM.size
        at, end = 0, len(content)
        while at < end:
            if end - at < head:
                raise MalformedError("an item of A-ASSOCIATE-RQ is cut off")
            kind, length = unpack(content, at)
            start = at + head
            at = start + length
            if at > end:
                raise MalformedError("an item of A-ASSOCIATE-RQ is longer than the PDU")
            self._left -= 1
            if self._left < 0:
                raise MalformedError(f"A-ASSOCIATE-RQ has more than {MAX_ITEMS} items")
            yield kind, content[start:at]


def _text(content: bytes) -> str:
    """A UID or name; padding is not wanted by PS3.8 Annex F, but is sent."""
    return content.decode("latin-1").rstrip("\0 ")


def _context(items: _Items, content: bytes) -> ProposedContext:
    if len(content) < _ITEM.size:
        raise MalformedError("a presentation context is cut off")
    number = content[0]
    if number % 2 == 0 or number > _MAX_ID:
        raise MalformedError("a presentation context ID is even")
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, value in items.of(content[4:]):
        if kind == _ABSTRACT:
            abstract.append(_text(value))
        elif kind == _TRANSFER:
            transfer.append(_text(value))
    if len(abstract) != 1:
        raise MalformedError("a presentation context has not one abstract syntax")
    if not 1 <= len(transfer) <= _MAX_SYNTAXES:
        raise MalformedError("a presentation context has no, or too many, syntaxes")
    if max(map(len, (*abstract, *transfer))) > _MAX_UID:
        raise MalformedError("a UID in a presentation context has over 64 characters")
    return ProposedContext(number, abstract[0], tuple(transfer))


def _user_information(items: _Items, content: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    names: dict[int, str] = {}
    roles: dict[str, tuple[bool, bool]] = {}
    for kind, value in items.of(content):
        if kind == _MAX_LENGTH:
            found["max_pdu"] = int.from_bytes(_exactly(value, 4))
        elif kind == _ASYNC_WINDOW:
            window = _exactly(value, 4)
            found["window"] = int.from_bytes(window[:2]), int.from_bytes(window[2:])
        elif kind == _ROLES:
            uid, scu, scp = _role(value)
            roles[uid] = scu, scp
        elif kind in (_CLASS_UID, _VERSION_NAME):
            names[kind] = _text(value)
    found["roles"] = roles
    name = names.get(_VERSION_NAME) or names.get(_CLASS_UID, "")
    found["implementation"] = name if name.isascii() and name.isprintable() else ""
    return found


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise MalformedError("an item of the user information has a wrong length")
    return value


def _role(value: bytes) -> tuple[str, bool, bool]:
    length = int.from_bytes(value[:2])
    if len(value) != length + 4:
        raise MalformedError("a role selection has a wrong length")
    return _text(value[2 : 2 + length]), value[-2] == 1, value[-1] == 1
