"""JSON answers: inflated if gzipped, and never longer than a limit."""

import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.errors import AnswerTooLargeError

_GZIP = b"\x1f\x8b"
"""RFC 1952 section 2.3.1. No JSON text begins so."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Inflating:
    """Takes pieces of a body, gzipped or not, and keeps what they inflate to.

    GetImageSetMetadata's blob is gzip in itself, DICOMweb's answers by their
    Content-Encoding: looking at the first bytes covers both.

    Args:
        limit: bytes that are kept.
        thing: what is read, for errors.
    """

    def __init__(self, limit: int, thing: str) -> None:
        self._limit = limit
        self._thing = thing
        self._head = b""
        self._gzip: Any = None
        self._kept = bytearray()
        self._begun = False

    def feed(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            AnswerTooLargeError: it is more than the limit.
            MalformedError: it is not gzip, though it began so.
        """
        if not self._begun:
            self._head += piece
            if len(self._head) < len(_GZIP):
                return
            piece, self._begun = self._head, True
            if piece.startswith(_GZIP):
                self._gzip = zlib.decompressobj(_GZIP_WINDOW)
        if self._gzip is None:
            self._keep(piece)
            return
        try:
            while piece:
                if self._gzip.eof:
                    # Members follow one another (RFC 1952 section 2.2).
                    self._gzip = zlib.decompressobj(_GZIP_WINDOW)
                room = self._limit - len(self._kept) + 1
                self._keep(self._gzip.decompress(piece, room))
                piece = self._gzip.unconsumed_tail or self._gzip.unused_data
        except zlib.error as error:
            raise MalformedError(f"{self._thing} is not gzip") from error

    def document(self) -> Any:
        """The JSON document, once all pieces were fed.

        Raises:
            MalformedError: it is not JSON, or its gzip broke off.
        """
        if self._gzip is not None and not self._gzip.eof:
            raise MalformedError(f"{self._thing} is gzip that breaks off")
        try:
            return json.loads(bytes(self._kept) if self._begun else self._head)
        # The last: JSON that is nested too deeply.
        except (ValueError, RecursionError) as error:
            # Without the cause's text, which quotes nothing but has the document.
            raise MalformedError(f"{self._thing} is not JSON") from error

    def _keep(self, inflated: bytes) -> None:
        self._kept += inflated
        if len(self._kept) > self._limit:
            raise AnswerTooLargeError(
                f"{self._thing} is over {self._limit} bytes: ask for less, or raise "
                "TLM_PROXY_UPSTREAM_JSON_MAX_BYTES"
            )


async def read_json(pieces: AsyncIterator[bytes], limit: int, thing: str) -> Any:
    """The JSON document of a body.

    Args:
        pieces: the body as it arrives.
        limit: bytes that are kept, inflated.
        thing: what is read, for errors.

    Raises:
        AnswerTooLargeError: it is longer than ``limit``.
        MalformedError: it is not JSON.
        AwsError: of ``pieces``.
    """
    inflating = Inflating(limit, thing)
    async for piece in pieces:
        inflating.feed(piece)
    return inflating.document()
