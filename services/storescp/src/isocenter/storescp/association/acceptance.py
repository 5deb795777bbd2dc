"""A-ASSOCIATE-AC, encoded (PS3.8 9.3.3, Annex D; PS3.7 Annex D.3). Pure."""

import struct
from collections.abc import Mapping, Sequence

from isocenter.storescp.association.contexts import ContextResult, Roles
from isocenter.storescp.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_HEADER = struct.Struct(">BxIHxx")
_VERSION_1 = 1
_ASSOCIATE_AC = 0x02


def encode_items(
    results: Sequence[ContextResult],
    roles: Mapping[str, Roles],
    *,
    max_pdu: int,
    window: tuple[int, int] | None,
) -> bytes:
    """All items of an acceptance.

    Args:
        results: of every proposed context.
        roles: the peer's, SCU and SCP, by SOP class; only those it asked about.
        max_pdu: bytes of P-DATA-TF that we take.
        window: operations invoked by the peer, and by us, at a time; None for a peer
            that did not ask.
    """
    user = [
        _item(0x51, struct.pack(">I", max_pdu)),
        _item(0x52, IMPLEMENTATION_CLASS_UID.encode()),
    ]
    if window is not None:
        user.append(_item(0x53, struct.pack(">HH", *window)))
    for uid, (as_scu, as_scp) in roles.items():
        name = uid.encode()
        content = len(name).to_bytes(2) + name + bytes([as_scu, as_scp])
        user.append(_item(0x54, content))
    user.append(_item(0x55, IMPLEMENTATION_VERSION_NAME.encode()))
    return b"".join(
        [
            _item(0x10, APPLICATION_CONTEXT.encode()),
            *map(_context, results),
            _item(0x50, b"".join(user)),
        ]
    )


def encode_accept(titles: bytes, items: bytes) -> bytes:
    """The whole PDU.

    Args:
        titles: AE titles and reserved bytes of the request, which are to be repeated
            as they came (PS3.8 Table 9-17).
        items: of ``encode_items``.
    """
    length = _HEADER.size - 6 + len(titles) + len(items)
    return _HEADER.pack(_ASSOCIATE_AC, length, _VERSION_1) + titles + items


def _context(result: ContextResult) -> bytes:
    head = bytes([result.context_id, 0, result.verdict.result, 0])
    return _item(0x21, head + _item(0x40, result.transfer_syntax.encode()))


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content
