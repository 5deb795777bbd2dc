"""How busy each worker of a pod is, in memory that all of them see."""

import mmap
import os
from collections.abc import Iterator
from typing import Protocol, Self

from isocenter.storescp.workers import peer_counts
from isocenter.storescp.workers.peer_counts import PeerCounts, key_of

_SLOT = 64
"""Bytes for each worker: a cache line of its own."""
_AWAY = -1


class Board(Protocol):
    """What a worker knows of the others."""

    def note(self, connections: int) -> None:
        """Tell the others how many connections this worker has now."""

    def should_leave(self) -> bool:
        """Whether another worker has fewer connections, so may take the next one."""

    def elsewhere(self) -> int:
        """Connections of the other workers."""

    def note_peer(self, peer: str, connections: int) -> None:
        """Tell the others how many of them are a peer's; a thread at a time."""

    def peer_elsewhere(self, peer: str) -> int:
        """Connections of a peer in the other workers."""

    def leave(self) -> None:
        """This worker takes no more connections."""


class LoneBoard:
    """The board of a process that is alone."""

    def note(self, connections: int) -> None:
        """Nobody else is to know."""

    def should_leave(self) -> bool:
        """Nobody else would take it."""
        return False

    def elsewhere(self) -> int:
        """There are none."""
        return 0

    def note_peer(self, peer: str, connections: int) -> None:
        """Nobody else is to know."""

    def peer_elsewhere(self, peer: str) -> int:  # noqa: ARG002 - as of any board
        """There are none."""
        return 0

    def leave(self) -> None:
        """Nobody else is to know."""


class SharedBoard:
    """A board in a file of memory (memfd_create(2)) that child processes inherit.

    Each number is eight bytes, aligned, so written and read at once; who reads it a
    moment late only gives a connection to the second best. Behind the numbers lies a
    table of counts by peer for each worker.

    Args:
        file: descriptor of the memory.
        count: workers.
        me: number of this worker, from 0; None in their parent, which serves nobody.
    """

    def __init__(self, file: int, count: int, me: int | None) -> None:
        self.file = file
        self._me = me
        self._map = mmap.mmap(file, _size(count))
        numbers = memoryview(self._map)[: count * _SLOT]
        self._slots = numbers.cast("q")[:: _SLOT // 8]
        self._peers = [
            PeerCounts(self._map, count * _SLOT + number * peer_counts.BYTES)
            for number in range(count)
        ]

    @classmethod
    def create(cls, count: int) -> Self:
        """A board on which nobody is there yet."""
        file = os.memfd_create("isocenter-workers")
        os.ftruncate(file, _size(count))
        board = cls(file, count, None)
        for number in range(count):
            board.mark_away(number)
        return board

    def mark_away(self, number: int) -> None:
        """A worker died: nothing is left for it to take, and it has nothing."""
        self._slots[number] = _AWAY
        self._peers[number].clear()

    def is_there(self, number: int) -> bool:
        """Whether a worker takes connections."""
        return bool(self._slots[number] != _AWAY)

    def note(self, connections: int) -> None:
        """Tell the others how many connections this worker has now."""
        if self._me is not None:
            self._slots[self._me] = connections

    def leave(self) -> None:
        """This worker takes no more connections; those of peers go on to count."""
        if self._me is not None:
            self._slots[self._me] = _AWAY

    def should_leave(self) -> bool:
        """Whether another worker has fewer connections, so may take the next one."""
        if self._me is None:
            return True
        mine = self._slots[self._me]
        return any(others < mine for others in self._others())

    def elsewhere(self) -> int:
        """Connections of the other workers."""
        return sum(self._others())

    def note_peer(self, peer: str, connections: int) -> None:
        """Tell the others how many of them are a peer's; a thread at a time."""
        if self._me is not None:
            self._peers[self._me].note(key_of(peer), connections)

    def peer_elsewhere(self, peer: str) -> int:
        """Connections of a peer in the other workers."""
        key = key_of(peer)
        return sum(
            counts.of(key)
            for number, counts in enumerate(self._peers)
            if number != self._me
        )

    def close(self) -> None:
        """Let go of the memory."""
        for counts in self._peers:
            counts.close()
        self._slots.release()
        self._map.close()
        os.close(self.file)

    def _others(self) -> Iterator[int]:
        return (
            found
            for number, found in enumerate(self._slots.tolist())
            if found != _AWAY and number != self._me
        )


def _size(count: int) -> int:
    return count * (_SLOT + peer_counts.BYTES)
