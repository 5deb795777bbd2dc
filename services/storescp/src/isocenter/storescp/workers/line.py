"""What a parent asks its workers, over a pair of sockets that ends with either."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<QI")
"""Of a message either way: number of the question, length of the text (UTF-8)."""
_READ_BYTES = 64 * 1024


class _Messages:
    """Reads messages; what has come of one stays when a time-out interrupts it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._come = bytearray()

    def next(self, deadline: float | None) -> tuple[int, str]:
        while True:
            if len(self._come) >= _HEAD.size:
                number, length = _HEAD.unpack_from(self._come)
                whole = _HEAD.size + length
                if len(self._come) >= whole:
                    text = self._come[_HEAD.size : whole].decode()
                    del self._come[:whole]
                    return number, text
            if deadline is not None:
                self._end.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._end.recv(_READ_BYTES)
            if not piece:
                raise EOFError
            self._come += piece


def _message(number: int, text: str) -> bytes:
    content = text.encode()
    return _HEAD.pack(number, len(content)) + content


class Line:
    """The parent's end; safe for threads.

    Args:
        end: a connected stream socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._messages = _Messages(end)
        self._number = 0
        self._lock = threading.Lock()

    def ask(self, question: str, timeout_s: float) -> str | None:
        """The worker's answer, or None if there is none in time."""
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            return None
        try:
            self._number += 1
            self._end.settimeout(max(0.001, deadline - time.monotonic()))
            self._end.sendall(_message(self._number, question))
            while True:
                # Answers that came too late for whoever asked lie before ours.
                number, text = self._messages.next(deadline)
                if number == self._number:
                    return text
        except (OSError, EOFError):
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Hang up, which a worker that still runs takes as SIGTERM."""
        self._end.close()


def answer_parent(
    end: socket.socket,
    answers: Mapping[str, Callable[[], str]],
    parent_gone: Callable[[], None],
) -> threading.Thread:
    """Answer the parent's questions in a thread until it hangs up or dies.

    Args:
        end: the worker's end of the line.
        answers: what is said to each question.
        parent_gone: called once nobody is left to ask.
    """

    def run() -> None:
        messages = _Messages(end)
        try:
            while True:
                number, question = messages.next(None)
                answer = answers.get(question)
                end.sendall(_message(number, answer() if answer else ""))
        except (OSError, EOFError):
            log.info("the parent process hung up")
        finally:
            end.close()
            parent_gone()

    thread = threading.Thread(target=run, name="parent", daemon=True)
    thread.start()
    return thread
