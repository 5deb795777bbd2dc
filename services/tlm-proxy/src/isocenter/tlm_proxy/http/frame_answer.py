"""How a frame goes out: at once when it is here, else piece by piece as it arrives.

Conditions: 304 is given to a tag that names the frame and the selection, after
the caller's rights are checked and without a call to HealthImaging: who has the
tag was given the frame, or read its id somewhere, and is told nothing new. ``*``
asks whether there is a frame, so it waits for it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

from starlette.types import Message, Receive, Send

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.frames.frame import Frame
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Cut, LevelRange, Selection
from isocenter.tlm_proxy.http.answer_counts import CACHE, UPSTREAM
from isocenter.tlm_proxy.http.conditions import entity_tag
from isocenter.tlm_proxy.http.envelope import Envelope, EnvelopeOf
from isocenter.tlm_proxy.http.frame_outline import (
    IMMUTABLE,
    LEVELS_MEDIA_TYPE,
    NOT_MODIFIED,
    PARTIAL,
    FrameQuestion,
    Outline,
    bare_headers,
    not_modified,
    outline,
    plain_headers,
)
from isocenter.tlm_proxy.http.hot import HotRequest, Immediate

__all__ = ["Envelope", "EnvelopeOf", "send_frame", "stored_answer"]

log = logging.getLogger(__name__)

TOO_SLOW = "isocenter.too_slow"
"""Key in a scope: the server broke the connection off, and counted it."""
_FOUND = "isocenter.found"
"""Key in a scope: which frame the cache was asked for, and what it had; it counts
what it is asked."""
_PIECE = 256 * 1024
"""Bytes handed to the server at a time: what it buffers for a slow client."""
_HEADS = 16
"""Headers that are remembered of a frame."""
_CONDITIONS = frozenset({b"range", b"if-none-match", b"if-range"})


def stored_answer(
    context: ProcessContext,
    request: HotRequest,
    key: FrameKey,
    asked: Selection | None,
    envelope: EnvelopeOf | None,
) -> Immediate | None:
    """The answer to a plain GET or POST of a frame in the cache by a known caller.

    None for everything else, failures included: ``send_frame`` tells them. And for
    more than one piece: a client is given some time for each.
    """
    plain, authorization = _conditions(request)
    caller = context.access.known(authorization) if plain else None
    if caller is None:
        return None
    try:
        caller.require(key.datastore_id)
        frame = context.frames.stored(key)
        request.scope[_FOUND] = key, frame
        if frame is None:
            return None
        part = frame.body if asked is None else frame.part(frame.cut(asked))
    except IsocenterError:
        return None
    if len(part) > _PIECE:
        return None
    if envelope is None:
        headers = _headers(request.method, key, asked, frame, len(part))
        return Immediate(headers, (part,), len(part), frame)
    media_type = frame.media_type
    tag = entity_tag(key, asked, enveloped=True)
    around = envelope(media_type)
    length = len(around.head) + len(part) + len(around.tail)
    cache_control = around.cache_control.encode("latin-1")
    headers = plain_headers(around.media_type, tag, cache_control, length)
    return Immediate(headers, (around.head, part, around.tail), length, frame)


def _headers(
    method: str, key: FrameKey, asked: Selection | None, frame: Frame, length: int
) -> bytes:
    """Those of a whole answer without an envelope."""
    kind = method, asked
    found = frame.heads.get(kind)
    if found is not None:
        return found
    levels = isinstance(asked, LevelRange)
    media_type = LEVELS_MEDIA_TYPE if levels else frame.media_type
    if method == "POST":
        made = bare_headers(media_type, length)
    else:
        tag = entity_tag(key, asked, enveloped=False)
        made = plain_headers(media_type, tag, IMMUTABLE, length)
    if len(frame.heads) < _HEADS:
        frame.heads[kind] = made
    return made


def _conditions(request: HotRequest) -> tuple[bool, bytes | None]:
    """Whether a request has none, nor several tokens; and its Authorization."""
    authorization: bytes | None = None
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            if authorization is not None:
                return False, None
            authorization = value
        elif name in _CONDITIONS:
            return False, None
    return True, authorization


async def send_frame(  # noqa: PLR0917 - as the hot routes call it, all of them needed
    context: ProcessContext,
    request: HotRequest,
    send: Send,
    key: FrameKey,
    asked: Selection | None,
    caller: Caller,
    envelope: EnvelopeOf | None,
) -> None:
    """Answer with a frame, or with what is asked of it.

    Failures before the first byte are raised. After it the status is out
    already: the answer is broken off, so that the client sees fewer bytes than
    Content-Length, or a chunked body without its end.

    Raises:
        ForbiddenError: the caller may not read this data store.
        IsocenterError: as ``Frames.open`` and ``Reader.locate``, and
            RangeUnsatisfiableError.
    """
    caller.require(key.datastore_id)
    question = FrameQuestion(request, key, asked, envelope)
    if question.held:
        out = not_modified(question)
        await _send_stored(context, request, send, out, b"")
        return
    looked_for, frame = request.scope.get(_FOUND, (None, None))
    if looked_for != key:
        # Or another one: where an instance's frame is may have changed meanwhile.
        frame = context.frames.stored(key)
    if frame is not None:
        found = frame.cut(asked)
        stop = len(frame.body) if found.stop is None else found.stop
        out = outline(question, frame.media_type, found.start, stop)
        part = frame.part(Cut(out.start, out.stop))
        await _send_stored(context, request, send, out, part)
        return
    await _Streaming(context, question, send).run(caller.client)


async def _send_stored(
    context: ProcessContext,
    request: HotRequest,
    send: Send,
    out: Outline,
    part: bytes | memoryview,
) -> None:
    """Send an answer all of which is here."""
    await send(_start(out))
    if request.method == "HEAD" or out.status == NOT_MODIFIED:
        await send({"type": "http.response.body", "body": b""})
        return
    pieces = [piece for each in (out.head, part, out.tail) for piece in _pieces(each)]
    sent = context.metrics.answers.sent
    for number, piece in enumerate(pieces, 1):
        more = number < len(pieces)
        await send({"type": "http.response.body", "body": piece, "more_body": more})
        sent[CACHE] += len(piece)


def _start(out: Outline) -> Message:
    return {
        "type": "http.response.start",
        "status": out.status,
        "headers": out.headers,
    }


def _pieces(body: bytes | memoryview) -> Iterator[bytes | memoryview]:
    if len(body) <= _PIECE:
        yield body
        return
    view = memoryview(body)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]


class _Streaming:
    """One answer from a frame that is on its way."""

    def __init__(
        self, context: ProcessContext, question: FrameQuestion, send: Send
    ) -> None:
        self._context = context
        self._question = question
        self._request = question.request
        self._key = question.key
        self._send = send
        self._started = False

    async def run(self, client: str) -> None:
        """Answer, and stop when the client goes away."""
        broken_off = self._context.metrics.broken_off
        sending = asyncio.create_task(self._answer(client))
        gone = asyncio.create_task(_disconnected(self._request.receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        if sending.cancelled():
            if not self._request.scope.get(TOO_SLOW):
                broken_off.labels("client gone").inc()
            return
        error = sending.exception()
        if error is None:
            return
        if not self._started or not isinstance(error, IsocenterError):
            raise error
        broken_off.labels("upstream").inc()
        log.warning(
            "an answer was broken off",
            extra={
                "datastore_id": self._key.datastore_id,
                "image_set_id": self._key.image_set_id,
                "frame_id": self._key.frame_id,
                "error": str(error),
            },
        )

    async def _answer(self, client: str) -> None:
        reader = await self._context.frames.open(self._key, client)
        try:
            # A length is worth waiting for where the answer depends on it.
            exact = (
                self._request.method == "HEAD"
                or self._request.header(b"range") is not None
            )
            found = await reader.locate(self._question.asked, exact=exact)
            stop = reader.size if found.stop is None else found.stop
            out = outline(
                self._question,
                reader.media_type,
                found.start,
                stop if found.final else None,
            )
            self._started = True
            await self._send(_start(out))
            if self._request.method != "HEAD" and out.status != NOT_MODIFIED:
                if out.status == PARTIAL:
                    found = Cut(out.start, out.stop)
                await self._pass(out, reader.pieces(found))
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            reader.close()

    async def _pass(
        self, out: Outline, arriving: AsyncIterator[bytes | memoryview]
    ) -> None:
        """Send bytes as they come; ``send`` waits while the client takes none."""
        sent = self._context.metrics.answers.sent
        send = self._send
        if out.head:
            await send(
                {"type": "http.response.body", "body": out.head, "more_body": True}
            )
        if out.stop is None or out.start < out.stop:
            async for arrived in arriving:
                for piece in _pieces(arrived):
                    message = {"body": piece, "more_body": True}
                    await send({"type": "http.response.body", **message})
                    sent[UPSTREAM] += len(piece)
        if out.tail:
            await send(
                {"type": "http.response.body", "body": out.tail, "more_body": True}
            )


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
