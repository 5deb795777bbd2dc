"""How a frame goes out: a response that watches its client while it streams."""

import asyncio
import logging
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange
from isocenter.tlm_proxy.frames.transfer import Frames, Transfer
from isocenter.tlm_proxy.metrics import Metrics

log = logging.getLogger(__name__)

CLIENT_PATIENCE_S = 30.0
"""Seconds that a client may take for one piece; then its answer is broken off."""
_PIECE = 256 * 1024
"""Bytes handed to the server at a time: what it buffers for a slow client."""


class _ClientTooSlowError(Exception):
    """The client did not take a piece in time."""


class FrameResponse(Response):
    """The asked bytes of a frame.

    Failures before the first byte are raised, for the table of errors. After it
    the status is out already: the answer is broken off, so that the client sees
    fewer bytes than Content-Length, or a chunked body without its end.
    """

    def __init__(
        self,
        frames: Frames,
        metrics: Metrics,
        key: FrameKey,
        asked: LevelRange | None,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._frames = frames
        self._metrics = metrics
        self._key = key
        self._asked = asked
        self._extra = [
            (name.lower().encode(), value.encode()) for name, value in headers.items()
        ]
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the frame from the cache, or as it arrives."""
        stored = self._frames.stored(self._key, self._asked)
        if stored is not None:
            await self._start(send, stored.media_type, len(stored.body))
            try:
                await self._pass(send, "cache", stored.body)
            except _ClientTooSlowError:
                self._metrics.broken_off.labels("client too slow").inc()
            else:
                await send({"type": "http.response.body", "body": b""})
            return
        sending = asyncio.create_task(self._stream(send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        if sending.cancelled():
            self._metrics.broken_off.labels("client gone").inc()
            return
        error = sending.exception()
        if error is None:
            return
        if isinstance(error, _ClientTooSlowError):
            self._metrics.broken_off.labels("client too slow").inc()
            return
        if not self._started or not isinstance(error, IsocenterError):
            raise error
        self._metrics.broken_off.labels("upstream").inc()
        log.warning(
            "an answer was broken off",
            extra={
                "datastore_id": self._key.datastore_id,
                "image_set_id": self._key.image_set_id,
                "frame_id": self._key.frame_id,
                "error": str(error),
            },
        )

    async def _stream(self, send: Send) -> None:
        transfer = await self._frames.transfer(self._key, self._asked)
        try:
            await self._pass_on(transfer, send)
        except BaseException:
            transfer.close()
            raise
        self._frames.done(transfer)

    async def _pass_on(self, transfer: Transfer, send: Send) -> None:
        await self._start(send, transfer.media_type, transfer.length)
        async for piece in transfer.body():
            await self._pass(send, "upstream", piece)
        await send({"type": "http.response.body", "body": b""})

    async def _pass(self, send: Send, source: str, body: bytes | memoryview) -> None:
        """Send bytes piece by piece; ``send`` waits while the client takes none."""
        sent = self._metrics.sent_bytes.labels(source)
        view = memoryview(body)
        for start in range(0, len(view), _PIECE):
            piece = view[start : start + _PIECE]
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            try:
                async with asyncio.timeout(CLIENT_PATIENCE_S):
                    await send(message)
            except TimeoutError as error:
                raise _ClientTooSlowError from error
            sent.inc(len(piece))

    async def _start(self, send: Send, media_type: str, length: int | None) -> None:
        headers = [(b"content-type", media_type.encode("latin-1")), *self._extra]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": headers,
        }
        self._started = True
        await send(start)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
