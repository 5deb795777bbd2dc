"""The parent of several workers: holds the ports, replaces what dies.

The listening sockets are the parent's, so a connection that waits to be accepted
survives the worker that died before it could; another one takes it.
"""

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isocenter.core.exit_codes import ServiceExit
from isocenter.storescp.workers.board import SharedBoard
from isocenter.storescp.workers.line import Line
from isocenter.storescp.workers.place import Place

log = logging.getLogger(__name__)

ANSWER_S = 5.0
"""Seconds a worker has for an answer."""
_ASK_ALIVE_S = 5.0
_SILENT_S = 60.0
"""Seconds without a good answer after which a worker is taken for dead."""
_SHORT_LIFE_S = 10.0
_LONGEST_DELAY_S = 10.0


@dataclass
class _Worker:
    """One worker process and how it does."""

    process: subprocess.Popen[bytes]
    line: Line
    born: float
    well: float
    served: bool = False


class Supervisor:
    """Starts ``count`` workers and keeps them running.

    Args:
        listeners: bound and listening sockets, each with whether it is for TLS.
        count: workers.
        command: what starts one; its place is the last argument.
    """

    def __init__(
        self,
        listeners: Sequence[tuple[socket.socket, bool]],
        count: int,
        command: Sequence[str] = (sys.executable, "-m", "isocenter.storescp", "worker"),
    ) -> None:
        self._listeners = list(listeners)
        self._command = list(command)
        self._board = SharedBoard.create(count)
        self._workers: list[_Worker | None] = [None] * count
        self._due = [0.0] * count
        self._deaths = [0] * count
        self._asked = 0.0
        self._asking = threading.Thread()

    def tick(self) -> int | None:
        """Start what is not running; kill what runs and does nothing.

        Returns:
            The exit code of a worker that found a setting unusable: no other worker
            would do better. None else.
        """
        now = time.monotonic()
        for number, worker in enumerate(self._workers):
            if worker is not None:
                worker.served = worker.served or self._board.is_there(number)
            if worker is not None and worker.process.poll() is not None:
                code = self._buried(number, worker)
                if code == ServiceExit.CONFIGURATION:
                    return code
            if self._workers[number] is None and now >= self._due[number]:
                self._workers[number] = self._born(number)
        if now - self._asked >= _ASK_ALIVE_S and not self._asking.is_alive():
            self._asked = now
            # One that hangs takes its time to be silent; others die meanwhile.
            self._asking = threading.Thread(
                target=self._ask_alive, name="ask-alive", daemon=True
            )
            self._asking.start()
        self._kill_silent(now)
        return None

    def _born(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        place = Place(
            number=number,
            count=len(self._workers),
            board=self._board.file,
            line=theirs.fileno(),
            listeners=tuple((each.fileno(), tls) for each, tls in self._listeners),
        )
        process = subprocess.Popen(  # noqa: S603 - this program itself
            [*self._command, place.to_argument()], pass_fds=place.inherited()
        )
        theirs.close()
        log.info("worker started", extra={"worker": number, "pid": process.pid})
        now = time.monotonic()
        return _Worker(process, Line(ours), born=now, well=now)

    def _buried(self, number: int, worker: _Worker) -> int:
        code = int(worker.process.returncode)
        worker.line.close()
        self._board.mark_away(number)
        self._workers[number] = None
        now = time.monotonic()
        lived = now - worker.born
        # At once, unless it dies again and again before it takes a connection.
        in_vain = not worker.served and lived < _SHORT_LIFE_S
        self._deaths[number] = min(self._deaths[number] + 1, 16) if in_vain else 0
        deaths = self._deaths[number]
        delay = min(_LONGEST_DELAY_S, 0.5 * 2**deaths) if deaths > 1 else 0.0
        self._due[number] = now + delay
        log.error(
            "worker ended, another takes its place in %.1f s",
            delay,
            extra={"worker": number, "exit_code": code, "duration_s": round(lived, 1)},
        )
        return code

    def _ask_alive(self) -> None:
        for number, answer in self.ask("alive"):
            worker = self._workers[number]
            if worker is not None and not answer:
                worker.well = time.monotonic()
            elif answer:
                log.warning(
                    "worker not well", extra={"worker": number, "error": answer}
                )

    def _kill_silent(self, now: float) -> None:
        for number, worker in enumerate(self._workers):
            silent = now - worker.well if worker else 0.0
            if worker is not None and silent > _SILENT_S:
                worker.well = now  # said, and done, once
                log.error(
                    "worker killed: not well for %.0f s",
                    silent,
                    extra={"worker": number},
                )
                worker.process.kill()

    def ask(self, question: str) -> Iterator[tuple[int, str]]:
        """The number and answer of each worker that answers in time."""
        for number, worker in enumerate(list(self._workers)):
            if worker is None:
                continue
            answer = worker.line.ask(question, ANSWER_S)
            if answer is not None:
                yield number, answer

    def stop(self, grace_s: float) -> bool:
        """Close the ports, let every worker end by itself, kill what has not.

        Returns:
            Whether every worker ended in order.
        """
        for listener, _ in self._listeners:
            listener.close()
        running = [worker for worker in self._workers if worker is not None]
        for worker in running:
            worker.process.terminate()
        deadline = time.monotonic() + grace_s
        orderly = True
        for worker in running:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker killed: it did not end in time")
                worker.process.kill()
                worker.process.wait()
            # By SIGTERM itself: it had not begun to serve.
            orderly = orderly and worker.process.returncode in (0, -signal.SIGTERM)
            worker.line.close()
        self._workers = [None] * len(self._workers)
        return orderly

    def close(self) -> None:
        """Let go of the board, once every worker has ended."""
        self._board.close()
