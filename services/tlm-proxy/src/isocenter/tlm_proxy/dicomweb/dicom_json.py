"""Answers in the DICOM JSON model, written piece by piece and compressed.

Metadata of a series may be tens of MB: made at once, it would hold up every other
request of the process.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from isocenter.tlm_proxy.dicomweb.accept import DICOM_JSON

_PIECE = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1


def dicom_json(
    rows: Sequence[dict[str, Any]],
    warnings: Iterable[str],
    accept_encoding: str | None,
) -> Response:
    """The answer of a search or of metadata.

    Args:
        rows: data sets in the DICOM JSON model.
        warnings: values of Warning headers (RFC 7234 5.5, as PS3.18 has them).
        accept_encoding: the request's, for gzip.
    """
    zipped = "gzip" in (accept_encoding or "").lower()
    pieces = _pieces(rows)
    answer = StreamingResponse(
        _zipped(pieces) if zipped else pieces, media_type=DICOM_JSON
    )
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers["Vary"] = "Accept-Encoding"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    if zipped:
        answer.headers["Content-Encoding"] = "gzip"
    for warning in warnings:
        answer.headers.append("Warning", warning)
    return answer


async def _pieces(rows: Sequence[dict[str, Any]]) -> AsyncIterator[bytes]:
    held: list[str] = []
    size = 0
    lead = "["
    for row in rows:
        text = lead + json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        lead = ","
        held.append(text)
        size += len(text)
        if size >= _PIECE:
            yield _encoded(held)
            held, size = [], 0
            # Others get their turn between pieces.
            await asyncio.sleep(0)
    held.append("]" if rows else "[]")
    yield _encoded(held)


def _encoded(held: list[str]) -> bytes:
    # JSON may escape half a surrogate pair, which UTF-8 has no bytes for.
    return "".join(held).encode(errors="replace")


async def _zipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(_FAST, wbits=_GZIP)
    async for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
