"""uvicorn's HTTP/1.1 protocol, with a short way for answers that are here already.

What it saves is a task, a cycle object and an event for each request: with those, a
small answer takes about twice the CPU (bench/README.md has this way's figures). With
a bare answer, granian's ASGI was no faster than uvicorn's.

It also breaks off connections whose client takes nothing for ``PATIENCE_S``, or
sends a head without an end: uvicorn bounds neither.
"""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from isocenter.tlm_proxy.http.edge import Edge
from isocenter.tlm_proxy.http.frame_answer import TOO_SLOW
from isocenter.tlm_proxy.http.hot import Immediate

PATIENCE_S = 30.0
"""Seconds that a client may take nothing; then its connection is broken off."""
_MAX_HEAD = 64 * 1024
"""Bytes that are read of a request's head, or of its trailers."""
_OK = STATUS_LINE[200]
_HEAD_TOO_LONG = STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n"
_MAX_POST = 4096
"""Bytes of a POST's body that are waited for before it is answered or passed on."""
_ONE_WRITE = 16 * 1024
"""Bodies up to this are copied behind their headers: one write costs less."""


class ImmediateProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        edge = config.loaded_app
        self._edge = edge if isinstance(edge, Edge) else None
        self._answered = False
        self._posted: bytearray | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._idling: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._left = 0
        self._unparsed = 0
        self._frame: object = None

    def data_received(self, data: bytes) -> None:
        """Parse it, unless it goes on and on without an end of the head."""
        # Callbacks of the parser set it back: here it has seen an end of something.
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > _MAX_HEAD and not self.transport.is_closing():
            self.logger.warning("A request's head is over %d bytes.", _MAX_HEAD)
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_HEAD_TOO_LONG)
                self.transport.close()
            else:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """Answer at once, wait for a short body, or leave it to the application."""
        self._unparsed = 0
        if self._edge is not None and self._may_answer():
            method = self.parser.get_method()
            if method == b"GET" and self._answer("GET"):
                return
            if method == b"POST" and self._has_short_body():
                self._posted = bytearray()
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A body that came with a GET is of no interest."""
        self._unparsed = 0
        if self._posted is not None:
            self._posted += body
        elif not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer what a body was waited for; then wait for the next request."""
        self._unparsed = 0
        if self._posted is not None:
            content, self._posted = bytes(self._posted), None
            if not self._answer("POST", content):
                super().on_headers_complete()
                if content:
                    super().on_body(content)
        if self._answered:
            self._answered = False
            self._idle()
        else:
            super().on_message_complete()

    def pause_writing(self) -> None:
        """The client takes less than is sent: give it some time."""
        super().pause_writing()
        if self._giving_up is None:
            self._be_patient()

    def resume_writing(self) -> None:
        """The client has taken what was sent."""
        self._no_more_hurry()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._no_more_hurry()
        if self._idling is not None:
            self._idling.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What can't be parsed gets 400, but never inside an answer under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for a while; what was not taken by now won't be."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _idle(self) -> None:
        """Wait for the next request, with one timer for many of them."""
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idling is None:
            self._idling = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """Close the connection, if nothing was asked for since."""
        self._idling = None
        running = self.cycle is not None and not self.cycle.response_complete
        if running or self.timeout_keep_alive_task is not None:
            # uvicorn's own timer follows what the application answers.
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idling = self.loop.call_later(left, self._look)
        else:
            self.timeout_keep_alive_handler()

    def _answer(self, method: str, content: bytes = b"") -> bool:
        """Write the answer, if it is here; whether it was."""
        path, _, query = self.url.partition(b"?")
        if b"%" in path or b"#" in query or self._edge is None:
            return False
        self.scope["query_string"] = query
        answer = self._edge.immediate(
            self.scope,  # type: ignore[arg-type]  # a TypedDict is a mapping
            path.decode("latin-1"),
            method,
            content,
        )
        if answer is None:
            return False
        self._answered = True
        self._write(answer)
        return True

    def _has_short_body(self) -> bool:
        lengths = [v for name, v in self.headers if name == b"content-length"]
        return (
            len(lengths) == 1
            and lengths[0].isdigit()
            and len(lengths[0]) <= len(str(_MAX_POST))
            and int(lengths[0]) <= _MAX_POST
            and not any(name == b"transfer-encoding" for name, _ in self.headers)
        )

    def _may_answer(self) -> bool:
        parser = self.parser
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.expect_100_continue
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _write(self, answer: Immediate) -> None:
        parts: list[bytes | memoryview] = [_OK]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (answer.headers, b"\r\n")
        if answer.length <= _ONE_WRITE:
            parts += answer.body
            self.transport.write(b"".join(parts))
            return
        self.transport.write(b"".join(parts))
        for piece in answer.body:
            if piece:
                self.transport.write(piece)
        if self.flow.write_paused:
            self._frame = answer.frame

    def _be_patient(self) -> None:
        self._left = self.transport.get_write_buffer_size()
        self._giving_up = self.loop.call_later(PATIENCE_S, self._give_up)

    def _give_up(self) -> None:
        self._giving_up = None
        if self.transport.get_write_buffer_size() < self._left:
            # It is slow, and takes what it can.
            self._be_patient()
            return
        if self.scope is not None:
            self.scope[TOO_SLOW] = True  # type: ignore[literal-required]  # our key
        if self._edge is not None:
            self._edge.metrics.broken_off.labels("client too slow").inc()
        self.transport.abort()

    def _no_more_hurry(self) -> None:
        self._frame = None
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
