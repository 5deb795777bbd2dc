"""A few threads that ask S3 the same of many things, and that no exit waits for."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


class Asking:
    """Threads made when they are first needed.

    They are daemons, unlike those of ``concurrent.futures``, whose exit handler would
    wait for every call that is under way while S3 does not answer.

    Args:
        threads: how many.
        name: of the threads.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._name = name
        self._left = threads
        self._closed = False
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        self._running = 0

    def map(
        self, ask: Callable[[Thing], Answer], things: Iterable[Thing]
    ) -> list[Answer]:
        """The answers, in the order of the things.

        Raises:
            CancelledError: it was closed meanwhile.
            Exception: what ``ask`` raised.
        """
        futures: list[Future[Answer]] = []
        with self._lock:
            for thing in things:
                future: Future[Answer] = Future()
                futures.append(future)
                if self._closed:
                    future.cancel()
                else:
                    self._jobs.put((future, partial(ask, thing)))
                    self._start_one()
        return [future.result() for future in futures]

    def _start_one(self) -> None:
        if not self._left:
            return
        try:
            threading.Thread(
                target=self._run, name=f"{self._name}-{self._running}", daemon=True
            ).start()
        except RuntimeError:  # the system has no thread left
            if not self._running:
                raise
            return
        self._left -= 1
        self._running += 1

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, do = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(do())
            except BaseException as error:  # noqa: BLE001 - raised to whoever asked
                future.set_exception(error)

    def close(self) -> None:
        """Cancel what has not begun, and let the threads end; none is waited for."""
        with self._lock:
            self._closed = True
            while True:
                try:
                    job = self._jobs.get_nowait()
                except Empty:
                    break
                if job is not None:
                    job[0].cancel()
            for _ in range(self._running):
                self._jobs.put(None)
