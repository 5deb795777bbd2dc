"""One association, each instance in S3 before it is acknowledged, S3 20 ms away."""

import hashlib
import shutil
import socket
import statistics
import threading
import time
from contextlib import ExitStack

from bench.proxy.bars import Bar, print_table
from bench.proxy.processes import BenchError
from bench.storescp import contestants
from bench.storescp.contestants import AE_TITLE, Place
from bench.storescp.sender import Association, Message, read
from bench.storescp.slices import make
from tests.support.s3_sink import S3Sink

LATENCY_S = 0.020
WINDOW = 8
_KEEP = 64 * 1024
_HEAD = (
    "PUT /bench/limit/{number} HTTP/1.1\r\nHost: s3\r\n"
    "Authorization: AWS4-HMAC-SHA256\r\n"
    "x-amz-content-sha256: {digest}\r\nContent-Length: {length}\r\n\r\n"
)


def run(at: Place) -> list[Bar]:
    """Measure, print, and hold against the bars."""
    rounds, number = (2, 60) if at.short else (5, 200)
    slices = make(at.new("slices"), associations=1, each=number)
    messages = [read(file) for file in slices.files]
    print(
        f"latency: one association, durability object_store, S3 answers"
        f" {LATENCY_S * 1000:.0f} ms after the last byte; {number} slices of 512 KB,"
        f" {rounds} rounds in turn, medians"
    )
    limits: list[float] = []
    single: list[float] = []
    window: list[float] = []
    granted = 1
    for _ in range(rounds):
        with ExitStack() as stack:
            s3 = stack.enter_context(S3Sink(keep=_KEEP))
            s3.faults(latency_s=LATENCY_S)
            limits.append(1 / _limit(s3, messages))
        for found, operations in ((single, 1), (window, WINDOW)):
            with ExitStack() as stack:
                s3 = stack.enter_context(S3Sink(keep=_KEEP))
                s3.faults(latency_s=LATENCY_S)
                begun = contestants.ours(
                    at, s3.environment(), durability="object_store"
                )
                receiver = stack.enter_context(begun)
                sender = Association(receiver.server.port, AE_TITLE, window=operations)
                granted = sender.window
                # The first makes connections and fills caches, at both ends.
                sender.store(messages[:1])
                seconds = sender.store(messages[1:])
                _is_there(s3, number)
                sender.release()
                found.append((number - 1) / seconds)
            shutil.rmtree(receiver.folder, ignore_errors=True)
    print_table(
        ("", "instances/s", ""),
        [
            ("limit of latency and transfer", f"{statistics.median(limits):.1f}", ""),
            ("ours, one at a time", f"{statistics.median(single):.1f}", ""),
            (
                "ours, asynchronous",
                f"{statistics.median(window):.1f}",
                f"window asked {WINDOW}, granted {granted}",
            ),
        ],
    )
    pairs = zip(single, limits, strict=True)
    turns = zip(window, single, strict=True)
    return [
        Bar(
            "one association, object_store, of the limit",
            statistics.median(a / b for a, b in pairs),
            ">=",
            0.85,
        ),
        Bar(
            "the same with asynchronous operations, of without",
            statistics.median(a / b for a, b in turns),
            ">=",
            3,
        ),
    ]


def _is_there(s3: S3Sink, number: int) -> None:
    """Each was acknowledged: S3 must have it at this moment."""
    found = sum(1 for name in s3.objects() if name.endswith(".dcm"))
    if found < number:
        raise BenchError(f"{number} were acknowledged, S3 has {found}")


def _limit(s3: S3Sink, messages: list[Message]) -> float:
    """Seconds that an instance takes at least.

    Its bytes over one loopback connection to somebody who only reads them, then over
    another to the same S3 with its latency: sockets and nothing else.
    """
    receiver = socket.create_server(("127.0.0.1", 0))
    length = len(messages[0].data)

    def read_and_answer() -> None:
        with receiver.accept()[0] as peer:
            buffer = bytearray(256 * 1024)
            left = length
            while got := peer.recv_into(buffer):
                left -= got
                if left <= 0:
                    left += length
                    peer.sendall(b"+")

    thread = threading.Thread(target=read_and_answer, daemon=True)
    thread.start()
    taken = []
    with (
        receiver,
        socket.create_connection(receiver.getsockname()) as first,
        socket.create_connection(("127.0.0.1", s3.port)) as second,
    ):
        for number, message in enumerate(messages):
            data = message.data[:length].ljust(length, b"\0")
            digest = hashlib.sha256(data).hexdigest()
            head = _HEAD.format(number=number, digest=digest, length=length).encode()
            began = time.monotonic()
            first.sendall(data)
            first.recv(1)
            second.sendall(head + data)
            answer = second.recv(65536)
            taken.append(time.monotonic() - began)
            if b" 200 " not in answer:
                raise BenchError("the local S3 refused the object")
    thread.join()
    return statistics.median(taken)
