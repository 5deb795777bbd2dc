"""A local S3 that takes objects fast, checks their digests, and fails when asked to.

``python tests/support/s3_sink_server.py [--port N] [--keep BYTES]`` listens on
127.0.0.1 and prints its port. Requests to ``/_sink/…`` are for the test: ``stats``,
``objects``, ``faults`` (GET, or PUT of JSON), ``clear``. One thread; a body is hashed
as it comes and only small ones are kept, so that it costs little beside what it serves.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path

if __name__ == "__main__":  # as a script: its folder's parent holds the package
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.s3_sink_bucket import Answer, Buckets, Digests, Request, S3Error

_BUFFER = 256 * 1024
_CONTROL = "/_sink/"


@dataclass(frozen=True)
class Faults:
    """How S3 is to behave.

    Attributes:
        latency_s: from a request's last byte to its answer.
        share_503: of requests that are answered 503 SlowDown.
        share_torn: of requests whose connection is torn, by turns before the body,
            within it, and when the object is stored but not answered.
        away: every request is answered 503.
        forbidden: every request is answered 403.
        refused_keys: a put of a key that contains this is answered 400.
        only_puts: 503 and torn connections meet puts alone.
    """

    latency_s: float = 0.0
    share_503: float = 0.0
    share_torn: float = 0.0
    away: bool = False
    forbidden: bool = False
    refused_keys: str = ""
    only_puts: bool = False


class Sink:
    """What all connections share."""

    def __init__(self, *, keep, seed):
        self.buckets = Buckets()
        self.faults = Faults()
        self.keep = keep
        self._chance = random.Random(seed)
        self.counts = {
            "requests": 0,
            "connections": 0,
            "answered_503": 0,
            "torn": 0,
        }
        self.methods = {}

    def fate(self, method):
        """What becomes of a request: "", 503, 403, or where it is torn."""
        faults = self.faults
        if faults.away:
            return "503"
        if faults.forbidden:
            return "403"
        if faults.only_puts and method != "PUT":
            return ""
        drawn = self._chance.random()
        if drawn < faults.share_503:
            return "503"
        if drawn < faults.share_503 + faults.share_torn:
            return ("head", "body", "answer")[self.counts["torn"] % 3]
        return ""

    def control(self, request):
        """Carry out what a test asks."""
        name = request.path[len(_CONTROL) :]
        if name == "faults" and request.method == "PUT":
            self.faults = Faults(**json.loads(request.body.data))
        elif name == "clear":
            self.buckets = Buckets()
        shown = {
            "stats": lambda: {
                **self.counts,
                **self.buckets.counts,
                "objects": len(self.buckets.objects),
                "methods": self.methods,
            },
            "faults": lambda: asdict(self.faults),
            "clear": dict,
            "objects": lambda: {
                f"{bucket}/{key}": [stored.size, stored.sha256]
                for (bucket, key), stored in self.buckets.objects.items()
            },
        }
        if name not in shown:
            return Answer(404)
        return Answer(200, {}, json.dumps(shown[name]()).encode())


class Connection(asyncio.BufferedProtocol):
    """One client's connection: requests one after the other."""

    def __init__(self, sink):
        self._sink = sink
        self._buffer = memoryview(bytearray(_BUFFER))
        self._head = bytearray()
        self._digests = None
        self._left = 0
        self._waiting = False

    def connection_made(self, transport):
        self._transport = transport
        self._sink.counts["connections"] += 1

    def get_buffer(self, _hint):
        return self._buffer

    def buffer_updated(self, count):
        piece = self._buffer[:count]
        if self._digests is not None and not self._waiting:
            piece = self._take(piece)
        if len(piece):
            self._head += piece
            self._parse()

    def _take(self, piece):
        """Bytes of the body; answers what is left after it."""
        mine = piece[: self._left]
        self._digests.update(mine)
        self._left -= len(mine)
        if self._fate == "body" and self._left < self._length // 2:
            self._tear()
        elif not self._left:
            self._complete()
        return piece[len(mine) :]

    def _parse(self):
        if self._waiting or self._digests is not None:
            return
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._head[:end].decode("latin-1").split("\r\n")
        rest = bytes(self._head[end + 4 :])
        self._head.clear()
        self._method, self._target, _ = lines[0].split(" ", 2)
        self._headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self._left = self._length = int(self._headers.get("content-length", "0"))
        mine = self._target.startswith(_CONTROL)
        self._fate = "" if mine else self._sink.fate(self._method)
        keep = 2**40 if mine or self._method == "POST" else self._sink.keep
        self._digests = Digests(self._headers, keep)
        if not mine:
            counts, methods = self._sink.counts, self._sink.methods
            counts["requests"] += 1
            methods[self._method] = methods.get(self._method, 0) + 1
        if self._fate == "head":
            self._tear()
            return
        if self._headers.get("expect", "").lower() == "100-continue":
            if self._fate in {"503", "403"}:
                self._left = 0  # the client keeps its body
            else:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._left:
            self._complete()
            self._head += rest
        elif rest:
            self._head += self._take(memoryview(rest))

    def _complete(self):
        """The request is here: answer when it is time."""
        self._waiting = True
        latency = self._sink.faults.latency_s
        if latency and not self._target.startswith(_CONTROL):
            asyncio.get_running_loop().call_later(latency, self._answer)
        else:
            self._answer()

    def _answer(self):
        if self._transport.is_closing():
            return
        request = Request(
            self._method, self._target, self._headers, self._digests.body()
        )
        sink = self._sink
        if request.path.startswith(_CONTROL):
            answer = sink.control(request)
        elif self._fate == "503":
            sink.counts["answered_503"] += 1
            answer = S3Error("SlowDown").answer()
        elif self._fate == "403" or (
            request.method == "PUT"
            and sink.faults.refused_keys
            and sink.faults.refused_keys in request.key
        ):
            code = "AccessDenied" if self._fate == "403" else "InvalidPart"
            answer = S3Error(code).answer()
        else:
            answer = sink.buckets.answer(request)
        if self._fate == "answer":
            self._tear()
            return
        self._write(answer)
        self._digests = None
        self._waiting = False
        if self._head:
            self._parse()

    def _write(self, answer):
        length = len(answer.body) if answer.length is None else answer.length
        phrase = HTTPStatus(answer.status).phrase
        lines = [
            f"HTTP/1.1 {answer.status} {phrase}",
            "x-amz-request-id: SINK",
            f"Content-Length: {length}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        body = b"" if self._method == "HEAD" else answer.body
        self._transport.write(head + body)

    def _tear(self):
        self._sink.counts["torn"] += 1
        self._waiting = True
        self._transport.abort()


async def serve(port, sink, faults):
    """Listen until SIGTERM or SIGINT."""
    sink.faults = faults
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(sink), "127.0.0.1", port, backlog=512
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument(
        "--keep", type=int, default=1 << 20, help="largest body kept, in bytes"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    asked = parser.parse_args()
    faults = replace(Faults(), latency_s=asked.latency)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(asked.port, Sink(keep=asked.keep, seed=asked.seed), faults))


if __name__ == "__main__":
    main()
