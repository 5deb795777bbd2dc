"""Where frames are decoded: in the caller's thread, or in processes.

The codec's Python binding holds the interpreter's lock, so that a second decoding
thread would gain nothing and keep the downloads waiting. Processes take a second or
more to start: they are started only when there is work enough, and threads decode until
they are ready.
"""

import logging
import multiprocessing
import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from isocenter.fetcher.errors import DecoderLostError
from isocenter.fetcher.frame_work import FrameWork, carry_out

log = logging.getLogger(__name__)

WORTH_PROCESSES = 100
"""Frames that are decoded in threads before processes are started."""


class Decoders:
    """Carries out frames' work. Thread-safe.

    Args:
        processes: 0 is one for each CPU, 1 is none: everything in the caller's thread.
        start_after: frames before the processes are started.
    """

    def __init__(self, processes: int, *, start_after: int = WORTH_PROCESSES) -> None:
        self._count = processes or len(os.sched_getaffinity(0))
        self._left = start_after
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[None] | None = None
        self._lost = False

    @property
    def lost(self) -> bool:
        """A decoding process was killed: nothing more can be decoded."""
        return self._lost

    def carry_out(self, work: FrameWork, stored: bytes) -> int:
        """``frame_work.carry_out``, here or in a process.

        Raises:
            DecoderLostError: a decoding process was killed.
            MalformedError, IntegrityError, OSError: as ``frame_work.carry_out``.
        """
        pool = self._processes()
        if pool is None:
            return carry_out(work, stored)
        try:
            return pool.submit(carry_out, work, stored).result()
        except BrokenProcessPool as error:
            self._lost = True
            raise DecoderLostError(
                "a decoding process was killed; give the fetcher more memory, or "
                "lower FETCHER_DECODE_PROCESSES and FETCHER_MEMORY_MIB"
            ) from error

    def close(self) -> None:
        """End the processes; frames under way end first."""
        with self._lock:
            self._count = 1
            pool = self._pool
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _processes(self) -> ProcessPoolExecutor | None:
        """The processes if they are ready, and started if they are worth it."""
        with self._lock:
            self._left -= 1
            if self._count > 1 and self._pool is None and self._left < 0:
                # Not fork: this process has threads, and a lock that one of them
                # holds would stay locked in the child.
                self._pool = ProcessPoolExecutor(
                    self._count,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_end_with_parent,
                )
                self._ready = self._pool.submit(_nothing)
            if self._ready is None or not self._ready.done():
                return None
            if self._ready.exception() is not None:
                log.warning("no decoding process could be started: threads decode")
                self._count, self._pool, self._ready = 1, None, None
            return self._pool


def _nothing() -> None:
    """Done as soon as a process is ready."""


def _end_with_parent() -> None:
    """Leave no decoding process behind when the fetcher is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
