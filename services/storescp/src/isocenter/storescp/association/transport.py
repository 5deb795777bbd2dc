"""Bytes of one connection, with time limits, plain or by TLS.

Reading is for one thread, sending for any. Plain sockets block in the kernel, so that
a PDU costs one call; TLS sockets never block, because OpenSSL allows one thread at a
time in a connection and a reader must not keep the answers from being sent.
"""

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from typing import Protocol

NOTHING = -1
"""Answer of ``receive`` when no byte came within a tick."""
_TIMEVAL = struct.Struct("@ll")


class Transport(Protocol):
    """One connection."""

    def receive(self, into: memoryview, *, whole: bool) -> int:
        """Bytes received: 0 if the peer closed, ``NOTHING`` after a tick of silence.

        Args:
            into: where to.
            whole: wait, for a tick, until ``into`` is full.

        Raises:
            OSError: the connection broke.
        """

    def send(self, content: bytes) -> None:
        """Send all of it; of one thread at a time.

        Raises:
            OSError: the connection broke, or the peer takes nothing any more.
        """

    def wake(self, how: int) -> None:
        """Let a waiting ``receive`` see the end; for any thread (shutdown(2))."""

    def close(self) -> None:
        """Give the descriptor back; no other call may follow."""


class PlainTransport:
    """A TCP connection.

    Args:
        sock: connected; now this object's.
        tick_s: longest silent ``receive``.
        send_s: longest time that the peer may take for what is sent at once.
    """

    def __init__(self, sock: socket.socket, *, tick_s: float, send_s: float) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(tick_s))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_s))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._send_s = send_s

    def receive(self, into: memoryview, *, whole: bool) -> int:
        """As ``Transport``."""
        try:
            return self._sock.recv_into(into, 0, socket.MSG_WAITALL if whole else 0)
        except BlockingIOError:  # SO_RCVTIMEO passed, socket(7)
            return NOTHING

    def send(self, content: bytes) -> None:
        """As ``Transport``."""
        left = memoryview(content)
        deadline = time.monotonic() + self._send_s
        while left:
            left = left[self._sock.send(left) :]
            # In all: a peer that takes a byte at a time is not to hold a thread.
            if left and time.monotonic() >= deadline:
                raise TimeoutError("the peer takes no answer")

    def wake(self, how: int) -> None:
        """As ``Transport``."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(how)

    def close(self) -> None:
        """As ``Transport``."""
        self.wake(socket.SHUT_RDWR)
        self._sock.close()


class TlsTransport:
    """A TLS connection after its handshake; arguments as ``PlainTransport``."""

    def __init__(self, sock: ssl.SSLSocket, *, tick_s: float, send_s: float) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._tick_s = tick_s
        self._send_s = send_s
        self._leaving = False
        self._engine = threading.Lock()
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)

    def receive(self, into: memoryview, *, whole: bool) -> int:
        """As ``Transport``; a TLS record (16 KiB) at a time."""
        received, until = 0, 0.0
        while True:
            try:
                with self._engine:
                    count = self._sock.recv_into(into[received:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if self._leaving:
                    return received
                now = time.monotonic()
                until = until or now + self._tick_s
                # In all: a peer of a byte at a time is not to stay in here.
                if now >= until or not self._readable.poll((until - now) * 1000):
                    return received or NOTHING
                continue
            except ssl.SSLEOFError:
                count = 0  # closed without close_notify, as many senders do
            received += count
            if not count or not whole or received == len(into):
                return received

    def send(self, content: bytes) -> None:
        """As ``Transport``."""
        left = memoryview(content)
        deadline = time.monotonic() + self._send_s
        while left:
            try:
                with self._engine:
                    left = left[self._sock.send(left) :]
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, deadline)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, deadline)

    def _wait(self, event: int, deadline: float) -> None:
        ready = select.poll()
        ready.register(self._sock, event)
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError("the peer takes no answer")

    def wake(self, how: int) -> None:
        """As ``Transport``; an end that OpenSSL sees is an error to it.

        So ``SHUT_RD`` is seen at the next tick, and ``SHUT_WR`` says goodbye before.
        """
        if how == socket.SHUT_RD:
            self._leaving = True
            return
        if how == socket.SHUT_WR:
            self._leaving = False
            with contextlib.suppress(OSError, ValueError), self._engine:
                self._sock.unwrap()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, how)

    def close(self) -> None:
        """As ``Transport``."""
        self.wake(socket.SHUT_RDWR)
        self._sock.close()


def transport(sock: socket.socket, *, tick_s: float, send_s: float) -> Transport:
    """The transport for a socket."""
    if isinstance(sock, ssl.SSLSocket):
        return TlsTransport(sock, tick_s=tick_s, send_s=send_s)
    return PlainTransport(sock, tick_s=tick_s, send_s=send_s)


def _timeval(seconds: float) -> bytes:
    """``struct timeval`` of setsockopt(2); never zero, which would mean forever."""
    whole, fraction = divmod(max(seconds, 0.001), 1)
    return _TIMEVAL.pack(int(whole), int(fraction * 1_000_000))
