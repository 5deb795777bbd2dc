"""HealthImaging's GetImageFrame as a stub on loopback, and an issuer's key set.

A raw asyncio protocol on uvloop in a process of its own, so that it isn't what is
measured. ``python -m bench.proxy.upstream PORT KINDS JWKS``; told by
``POST /control`` (JSON: ``latency_s``, ``bytes_per_s``, ``reset``), read by
``GET /state``. It signs off nothing and checks no signature.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.proxy.frames import MEDIA_TYPE, Mould, moulds

_TICK_S = 0.002
"""Between two pieces of a paced answer."""
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class State:
    """What the stub does and has done.

    Attributes:
        latency_s: seconds before an answer's first byte.
        bytes_per_s: of each connection; 0 for as fast as it goes.
        calls: GetImageFrame by frame id.
        stamps: by frame id, when level 0 and the whole had been written
            (``time.monotonic``, one clock for all processes of a machine); of
            paced answers alone.
    """

    def __init__(self, kinds: dict[str, Mould], jwks: bytes) -> None:
        self.moulds = kinds
        self.jwks = jwks
        self.latency_s = 0.0
        self.bytes_per_s = 0.0
        self.calls: Counter[str] = Counter()
        self.stamps: dict[str, list[float]] = {}

    def control(self, told: dict[str, Any]) -> None:
        """Change how answers are given, or forget what was counted."""
        self.latency_s = told.get("latency_s", self.latency_s)
        self.bytes_per_s = told.get("bytes_per_s", self.bytes_per_s)
        if told.get("reset"):
            self.calls.clear()
            self.stamps.clear()

    def report(self) -> bytes:
        """Calls in all, the most of one frame, and the stamps."""
        return json.dumps(
            {
                "calls": self.calls.total(),
                "most": max(self.calls.values(), default=0),
                "stamps": self.stamps,
            }
        ).encode()


class Connection(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are of asyncio's classes by what they do, not by type.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Send no more."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take requests as they are complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, found, value = head.partition(b"\r\ncontent-length:")
            length = int(value.split(b"\r\n", 1)[0]) if found else 0
            if len(self._received) < end + 4 + length:
                return
            line = self._received.split(b"\r\n", 1)[0]
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._answer(line, body)

    def _answer(self, line: bytes, body: bytes) -> None:
        state = self._state
        path = line.split(b" ")[1]
        if path.endswith(b"/getImageFrame"):
            self._frame(json.loads(body)["imageFrameId"])
        elif path == b"/control":
            state.control(json.loads(body))
            self._write(_OK % (b"application/json", 2), b"{}")
        elif path in {b"/state", b"/jwks.json"}:
            sent = state.report() if path == b"/state" else state.jwks
            self._write(_OK % (b"application/json", len(sent)), sent)
        else:
            self._write(_NOT_FOUND)

    def _frame(self, frame_id: str) -> None:
        state = self._state
        mould = state.moulds.get(frame_id[0])
        if mould is None:
            self._write(_NOT_FOUND)
            return
        state.calls[frame_id] += 1
        head = _OK % (MEDIA_TYPE.encode(), mould.size)
        if state.bytes_per_s:
            begin = self._loop.time() + state.latency_s
            paced = (head, mould.frame(frame_id), mould.ends[0], frame_id)
            self._loop.call_at(begin, self._paced, begin, 0, *paced)
        elif state.latency_s:
            whole = (head, mould.before, frame_id.encode(), mould.after)
            self._loop.call_later(state.latency_s, self._write, *whole)
        else:
            self._write(head, mould.before, frame_id.encode(), mould.after)

    def _paced(  # noqa: PLR0917 - call_at takes no keywords
        self,
        begin: float,
        sent: int,
        head: bytes,
        frame: bytes,
        level_end: int,
        frame_id: str,
    ) -> None:
        """Send what is due by now, and come back for the rest."""
        rate = self._state.bytes_per_s
        due = int((self._loop.time() - begin + _TICK_S) * rate)
        due = min(len(frame), max(sent + 1, due))
        self._write(head if sent == 0 else b"", frame[sent:due])
        if sent < level_end <= due:
            self._state.stamps[frame_id] = [time.monotonic()]
        if due == len(frame):
            self._state.stamps[frame_id].append(time.monotonic())
            return
        after = begin + due / rate
        paced = (begin, due, head, frame, level_end, frame_id)
        self._loop.call_at(after, self._paced, *paced)

    def _write(self, *pieces: bytes) -> None:
        if self._transport is not None:
            self._transport.writelines(pieces)


async def serve(port: int, kinds: str, jwks: bytes) -> None:
    """Serve until the process is ended."""
    state = State(moulds(*kinds), jwks)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(state), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes()))
