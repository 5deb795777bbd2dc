"""How busy each worker of a pod is, in memory that all of them see."""

import mmap
import os
from collections.abc import Iterator
from typing import Protocol, Self

_SLOT = 64
"""Bytes for each worker: a cache line of its own."""
_AWAY = -1


class Board(Protocol):
    """What a worker knows of the others."""

    def note(self, connections: int) -> None:
        """Tell the others how many connections this worker has now."""

    def should_leave(self) -> bool:
        """Whether another worker has fewer connections, so may take the next one."""

    def total(self) -> int:
        """Connections of all workers."""

    def leave(self) -> None:
        """This worker takes no more connections."""


class LoneBoard:
    """The board of a process that is alone."""

    def __init__(self) -> None:
        self._mine = 0

    def note(self, connections: int) -> None:
        """Remember the number of connections."""
        self._mine = connections

    def should_leave(self) -> bool:
        """Nobody else would take it."""
        return False

    def total(self) -> int:
        """This process's own."""
        return self._mine

    def leave(self) -> None:
        """Nobody else is to know."""


class SharedBoard:
    """A board in a file of memory (memfd_create(2)) that child processes inherit.

    Each number is eight bytes, aligned, so written and read at once; who reads it a
    moment late only gives a connection to the second best.

    Args:
        file: descriptor of the memory.
        count: workers.
        me: number of this worker, from 0; None in their parent, which serves nobody.
    """

    def __init__(self, file: int, count: int, me: int | None) -> None:
        self.file = file
        self._me = me
        self._map = mmap.mmap(file, count * _SLOT)
        self._slots = memoryview(self._map).cast("q")[:: _SLOT // 8]

    @classmethod
    def create(cls, count: int) -> Self:
        """A board on which nobody is there yet."""
        file = os.memfd_create("isocenter-workers")
        os.ftruncate(file, count * _SLOT)
        board = cls(file, count, None)
        for number in range(count):
            board.mark_away(number)
        return board

    def mark_away(self, number: int) -> None:
        """A worker died or stops: nothing is left for it to take."""
        self._slots[number] = _AWAY

    def is_there(self, number: int) -> bool:
        """Whether a worker takes connections."""
        return bool(self._slots[number] != _AWAY)

    def note(self, connections: int) -> None:
        """Tell the others how many connections this worker has now."""
        if self._me is not None:
            self._slots[self._me] = connections

    def leave(self) -> None:
        """This worker takes no more connections."""
        if self._me is not None:
            self.mark_away(self._me)

    def should_leave(self) -> bool:
        """Whether another worker has fewer connections, so may take the next one."""
        if self._me is None:
            return True
        mine = self._slots[self._me]
        return any(others < mine for others in self._present())

    def total(self) -> int:
        """Connections of all workers."""
        return sum(self._present())

    def close(self) -> None:
        """Let go of the memory."""
        self._slots.release()
        self._map.close()
        os.close(self.file)

    def _present(self) -> Iterator[int]:
        return (found for found in self._slots.tolist() if found != _AWAY)
