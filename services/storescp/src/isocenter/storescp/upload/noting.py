"""Notes in the journal what S3 has, for all uploads of a moment at once.

An fsync and a few removals for each instance would cost the volume as much as its
reception. Nobody waits for the note: until it is there the instance is on the volume,
and put again by whoever finds it.
"""

import threading
import time
from collections.abc import Callable, Sequence

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store.backlog import Task
from isocenter.storescp.store.spool import Spool

_GATHER_S = 0.05
Noted = Callable[[Task, Exception | None], None]
"""Told of each task: None, or why it could not be noted."""


class Noting:
    """One thread that ends the tasks of uploaded instances.

    Args:
        spool: whose batches they are of.
        noted: called from the thread.
    """

    def __init__(self, spool: Spool, noted: Noted) -> None:
        self._spool = spool
        self._noted = noted
        self._puts: list[tuple[Task, StoredInstance]] = []
        self._closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="noting", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def add(self, task: Task, put: StoredInstance) -> None:
        """S3 has a task's instance, as ``put`` says."""
        with self._lock:
            self._puts.append((task, put))
            if len(self._puts) == 1:
                self._changed.notify()

    def stop(self, timeout_s: float) -> None:
        """Note what is left, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():  # or was never started
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._puts or self._closed)
                if not self._puts:
                    return
            time.sleep(_GATHER_S)
            with self._changed:
                puts, self._puts = self._puts, []
            batches: dict[str, list[tuple[Task, StoredInstance]]] = {}
            for task, put in puts:
                batches.setdefault(task.batch, []).append((task, put))
            for batch, found in batches.items():
                self._note(batch, found)

    def _note(self, batch: str, puts: Sequence[tuple[Task, StoredInstance]]) -> None:
        failure: Exception | None = None
        try:
            self._spool.mark_put(batch, [(task.name, put) for task, put in puts])
        except Exception as error:  # noqa: BLE001 - the thread must go on; the tasks are kept
            failure = error
        for task, _ in puts:
            self._noted(task, failure)
