"""Kept-alive HTTP/1.1 connections that send files (RFC 9112).

Over plain TCP the kernel sends the file (sendfile(2)); over TLS it goes in pieces of
256 KiB from a buffer that is used again. No ``Expect: 100-continue``: it costs a
round trip for each object, and an answer that comes before the body's end is read
also without it.
"""

import contextlib
import http.client
import io
import os
import re
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from isocenter.storescp.upload.sigv4 import Route

_PIECE: Final = 256 * 1024
_HEAD_BYTES: Final = 64 * 1024
_PIECE_OF_HEAD: Final = 4096
_BODY_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 5.0
_INTERIM = re.compile(rb"HTTP/1\.1 1\d\d ")
_END: Final = b"\r\n\r\n"
_TIMEVAL = struct.Struct("ll")


@dataclass(frozen=True)
class Answer:
    """Status and, if it is no success, the body's first 64 KiB."""

    status: int
    body: bytes = b""


class TornError(OSError):
    """The connection ended before a whole answer came.

    Attributes:
        stale: it was one used before, and not a byte came: the peer had closed it.
    """

    def __init__(self, text: str, *, stale: bool = False) -> None:
        super().__init__(text)
        self.stale = stale


class _Joined(io.RawIOBase):
    """What was received already, then what comes."""

    def __init__(self, begin: bytes, connection: socket.socket) -> None:
        self._begin = begin
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._begin:
            count = min(len(buffer), len(self._begin))
            buffer[:count] = self._begin[:count]
            self._begin = self._begin[count:]
            return count
        return self._connection.recv_into(buffer)

    def makefile(self, _mode: str) -> BinaryIO:
        """What ``http.client.HTTPResponse`` asks of a socket."""
        return io.BufferedReader(self)


class HttpConnection:
    """One connection; of one thread at a time.

    Args:
        route: whom to connect to.
        tls: context, if the route is https.
        timeout_s: without progress.

    Raises:
        OSError: no connection, or no TLS.
    """

    def __init__(
        self, route: Route, tls: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        connection = socket.create_connection((route.host, route.port), _CONNECT_S)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if route.tls and tls is not None:
                connection = tls.wrap_socket(connection, server_hostname=route.host)
                connection.settimeout(timeout_s)
            else:
                # The kernel's own time-outs, so that sendfile need not be polled for.
                connection.settimeout(None)
                limit = _TIMEVAL.pack(int(timeout_s), int(timeout_s % 1 * 1e6))
                for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                    connection.setsockopt(socket.SOL_SOCKET, option, limit)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._used = False
        self.idle_since = 0.0
        self.reusable = False

    def close(self) -> None:
        """Close it, whatever its state."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def quiet(self) -> bool:
        """Whether nothing came while it was idle: no end, no stray byte."""
        return not self._readable.poll(0)

    def send_file(self, head: bytes, file: int, length: int) -> Answer:
        """Send a request whose body is a file, and read the answer.

        Args:
            head: request line and headers.
            file: descriptor; sent from its first byte.
            length: bytes of the body.

        Raises:
            TornError: the connection ended or stood still; the request may have been
                carried out.
            OSError: the file can't be read.
        """
        stale_if_torn, self._used, self.reusable = self._used, True, False
        try:
            self._send(head, file, length)
        except _FileError:
            raise
        except OSError as error:
            # The answer may have come before the body's end: that is why it broke.
            with contextlib.suppress(OSError):
                return self._answer(stale=False, reusable=False)
            raise TornError(
                f"connection broke: {error}", stale=stale_if_torn
            ) from error
        return self._answer(stale=stale_if_torn, reusable=True)

    def _send(self, head: bytes, file: int, length: int) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._send_pieces(head, file, length)
            return
        self._socket.sendall(head, socket.MSG_MORE if length else 0)
        out, offset = self._socket.fileno(), 0
        while offset < length:
            count = os.sendfile(out, file, offset, length - offset)
            if count == 0:
                raise _FileError(f"the file ends after {offset} of {length} bytes")
            offset += count

    def _send_pieces(self, head: bytes, file: int, length: int) -> None:
        self._socket.sendall(head)
        piece, offset = memoryview(_buffer()), 0
        while offset < length:
            count = os.preadv(file, [piece[: min(length - offset, _PIECE)]], offset)
            if count == 0:
                raise _FileError(f"the file ends after {offset} of {length} bytes")
            self._socket.sendall(piece[:count])
            offset += count

    def _answer(self, *, stale: bool, reusable: bool) -> Answer:
        try:
            came = self._head()
            if _is_plain_success(came):
                self.reusable = reusable
                return Answer(200)
            return self._parsed(came, reusable=reusable)
        except (OSError, http.client.HTTPException) as error:
            kind = "no answer in time" if isinstance(error, BlockingIOError) else error
            raise TornError(
                f"no answer: {kind}", stale=stale and isinstance(error, _NothingError)
            ) from error

    def _head(self) -> bytes:
        """The whole head of the final answer, and what came with it.

        ``http.client`` would take a head that is cut off for a whole one.
        """
        came, interim = b"", True
        while interim:
            while (end := came.find(_END)) < 0 and len(came) < _HEAD_BYTES:
                piece = self._received(first=not came)
                if not piece:
                    raise ConnectionError("closed within the answer's head")
                came += piece
            if end < 0:
                raise ConnectionError("the answer's head does not end")
            interim = _INTERIM.match(came) is not None
            if interim:
                came = came[end + len(_END) :]
        return came

    def _received(self, *, first: bool) -> bytes:
        try:
            piece = self._socket.recv(_PIECE_OF_HEAD)
        except ConnectionError as error:
            if first:
                raise _NothingError(str(error)) from error
            raise
        if first and not piece:
            raise _NothingError("closed before an answer")
        return piece

    def _parsed(self, came: bytes, *, reusable: bool) -> Answer:
        """Any other answer: failures, bodies in chunks."""
        response = http.client.HTTPResponse(
            _Joined(came, self._socket),  # type: ignore[arg-type]  # only makefile is asked of it
            method="PUT",
        )
        response.begin()
        body = response.read(_BODY_BYTES)
        self.reusable = reusable and response.isclosed() and not response.will_close
        return Answer(response.status, body)


def _is_plain_success(came: bytes) -> bool:
    """Whether an answer is 200, without body, and the connection stays.

    A quick look at what nearly all answers are; any other is parsed.
    """
    if not came.startswith(b"HTTP/1.1 200 ") or not came.endswith(_END):
        return False
    head = came.lower()
    return (
        b"\r\ncontent-length: 0\r\n" in head
        and b"\r\nconnection:" not in head
        and b"\r\ntransfer-encoding:" not in head
        and head.count(_END) == 1
    )


class _NothingError(ConnectionError):
    """Not a byte of an answer came."""


class _FileError(OSError):
    """The file is shorter than it was: nothing of the connection's."""


_buffers = threading.local()


def _buffer() -> bytearray:
    """This thread's buffer."""
    try:
        buffer: bytearray = _buffers.piece
    except AttributeError:
        buffer = _buffers.piece = bytearray(_PIECE)
    return buffer
