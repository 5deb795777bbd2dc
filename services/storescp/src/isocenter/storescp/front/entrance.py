"""The ports: which connections this process takes, and when it takes none."""

import errno
import logging
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from isocenter.storescp.front.listening import BACKLOG, Listener
from isocenter.storescp.workers.board import Board, LoneBoard

log = logging.getLogger(__name__)

LEAVE_S = 0.003
"""How long a connection is left to less busy workers; then whoever comes takes it."""
_NO_DESCRIPTOR_S = 0.1
_AT_ONCE = 64
_FEW = 2
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Accepted = tuple[socket.socket, tuple[str, int], bool]
"""A connection, its peer's address, and whether TLS is to be spoken."""


class Entrance:
    """Listening sockets in a selector; of one thread.

    Args:
        listeners: the ports; other worker processes may have the same.
        selector: where they are registered, each with its ``Listener``.
        board: what the other workers do.
        waiting: how many connections this process has that are no association.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        selector: selectors.BaseSelector,
        board: Board,
        waiting: Callable[[], int],
    ) -> None:
        self._listeners = list(listeners)
        self._selector = selector
        self._board = board
        self._shared = not isinstance(board, LoneBoard)
        self._waiting = waiting
        self._left = False
        self.resume_at: float | None = None

    def open(self) -> None:
        """Begin to listen."""
        for listener in self._listeners:
            listener.socket.setblocking(False)
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)

    def accept(self, listener: Listener) -> Iterator[Accepted | OSError]:
        """Connections of now, as far as they are for this process.

        Yields:
            A connection; or the error, last, if there is no descriptor for one.
        """
        for _ in range(_AT_ONCE):
            if self.resume_at is not None:
                return
            if self._leaves_it():
                self._pause(LEAVE_S)
                return
            try:
                connection, address = listener.socket.accept()
            except BlockingIOError:  # another worker took it
                self._left = False
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(_NO_DESCRIPTOR_S)
                    yield error
                return
            self._left = False
            yield connection, address, listener.tls

    def _leaves_it(self) -> bool:
        """Whether the next connection is for another worker, which gets one chance."""
        if not self._shared or self._left:
            return False
        # A request that is on its way is not on the board yet; a crowd is no request.
        on_its_way = 0 < self._waiting() <= _FEW
        self._left = on_its_way or self._board.should_leave()
        return self._left

    def _pause(self, seconds: float) -> None:
        for listener in self._listeners:
            self._selector.unregister(listener.socket)
        self.resume_at = time.monotonic() + seconds

    def resume(self, now: float) -> None:
        """Listen again if it is time to."""
        if self.resume_at is not None and now >= self.resume_at:
            self.resume_at = None
            self.open()

    def close(self) -> Iterator[Accepted]:
        """Close the ports.

        Yields:
            Connections that the kernel made already: they get a rejection instead of
            a reset. Those of shared ports are for the other workers.
        """
        for listener in self._listeners:
            if self.resume_at is None:
                self._selector.unregister(listener.socket)
            if not self._shared:
                yield from self._rest(listener)
            listener.socket.close()
        self._listeners.clear()
        self.resume_at = None

    @staticmethod
    def _rest(listener: Listener) -> Iterator[Accepted]:
        for _ in range(BACKLOG):
            try:
                connection, address = listener.socket.accept()
            except OSError:
                return
            yield connection, address, listener.tls
