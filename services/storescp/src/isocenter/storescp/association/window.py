"""The asynchronous operations window of one association (PS3.7 D.3.3.3)."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Window:
    """Carries out operations while the next request is read, up to a number.

    With a window of one everything happens in the association's own thread. Other
    threads are made as they are needed, and are daemons, unlike those of
    ``concurrent.futures``: an operation that hangs must not keep the process from
    ending.

    Args:
        operations: requests that may be outstanding, 1 or more.
        failed: told of what an operation raises in another thread.
    """

    def __init__(self, operations: int, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._alone = operations == 1
        self._places = threading.Semaphore(operations)
        self._changed = threading.Condition()
        self._outstanding = 0
        self._threads = 0
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    @property
    def busy(self) -> bool:
        """Whether a request is not answered yet."""
        return self._outstanding > 0

    def enter(self) -> None:
        """Wait for a place: the peer has asked for more than was agreed."""
        if not self._alone:
            self._places.acquire()

    def leave(self) -> None:
        """Give the place back: the request was answered in this thread."""
        if not self._alone:
            self._places.release()

    def carry_out(self, operation: Callable[[], None]) -> None:
        """Do what was given a place; the place is free afterwards.

        Raises:
            Exception: what the operation raised, if it was done in this thread.
        """
        if self._alone:
            operation()
            return
        with self._changed:
            self._outstanding += 1
            one_more = self._outstanding > self._threads
        if one_more and not self._start():
            self._do(operation)
        else:
            self._waiting.put(operation)

    def _start(self) -> bool:
        """Start a thread; answers whether there is any to do the work."""
        try:
            threading.Thread(target=self._work, name="operation", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            return self._threads > 0
        self._threads += 1
        return True

    def _work(self) -> None:
        while (operation := self._waiting.get()) is not None:
            self._do(operation)

    def _do(self, operation: Callable[[], None]) -> None:
        try:
            operation()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread's result
            self._failed(error)
        finally:
            with self._changed:
                self._outstanding -= 1
                self._changed.notify_all()
            self._places.release()

    def drain(self) -> None:
        """Wait until every request is answered; nothing may be carried out after."""
        with self._changed:
            self._changed.wait_for(lambda: not self._outstanding)
        for _ in range(self._threads):
            self._waiting.put(None)
        self._threads = 0
