"""A lean HTTP/1.1 client that knows when which byte came."""

import asyncio
import json
import time
from typing import Any, Self, cast

import httptools

from bench.proxy.processes import BenchError
from bench.proxy.wrk import Ask

_TIMEOUT_S = 60.0


class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: its bytes.
        asked: when the request was written (``time.monotonic``).
        arrivals: when bytes of the body came, and how many there were then.
    """

    def __init__(self) -> None:
        self.status = 0
        self.body: bytes = b""
        self.asked = time.monotonic()
        self.arrivals: list[tuple[float, int]] = []

    @property
    def first(self) -> float:
        """When the first byte of the body had come."""
        return self.arrivals[0][0]

    @property
    def last(self) -> float:
        """When the last one had."""
        return self.arrivals[-1][0]


class Connection(asyncio.Protocol):
    """A kept connection; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._answer = Answer()
        self._pieces: list[bytes] = []
        self._length = 0
        self._done: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, port: int) -> Self:
        """A connection to a port of 127.0.0.1."""
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(lambda: cls(port), "127.0.0.1", port)
        return made[1]

    async def ask(self, ask: Ask) -> Answer:
        """The answer to one request.

        Raises:
            BenchError: none came.
        """
        if self._transport is None:
            raise BenchError(f"port {self._port} closed the connection")
        body = (ask.body or "").encode()
        lines = [f"{ask.method} {ask.path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        if ask.authorization:
            lines.append(f"Authorization: {ask.authorization}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self._parser = httptools.HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        self._pieces, self._length = [], 0
        self._answer = Answer()
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(_TIMEOUT_S):
            return await self._done

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are of asyncio's classes by what they do, not by type.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits is told."""
        self._transport = None
        if self._done is not None and not self._done.done():
            self._done.set_exception(BenchError(f"port {self._port} broke off: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Note when it came."""
        self._pieces.append(body)
        self._length += len(body)
        self._answer.arrivals.append((time.monotonic(), self._length))

    def on_message_complete(self) -> None:
        """Give the answer to who waits."""
        self._answer.status = self._parser.get_status_code()
        self._answer.body = b"".join(self._pieces)
        if self._done is not None and not self._done.done():
            self._done.set_result(self._answer)


async def control(port: int, **told: Any) -> None:
    """Tell the stub how to answer from now on."""
    connection = await Connection.open(port)
    await connection.ask(Ask("/control", "POST", body=json.dumps(told)))
    connection.close()


async def state(port: int) -> dict[str, Any]:
    """What the stub has counted."""
    connection = await Connection.open(port)
    answer = await connection.ask(Ask("/state"))
    connection.close()
    found: dict[str, Any] = json.loads(answer.body)
    return found
