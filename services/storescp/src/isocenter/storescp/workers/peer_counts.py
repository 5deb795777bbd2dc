"""How many associations each peer has in a process, in memory that others read."""

import mmap
from hashlib import blake2b

SLOTS = 1024
"""Peers that fit: more than a process has associations by any setting."""
_HASH = 16
_SLOT = _HASH + 8
_NUMBERS = _SLOT // 8
BYTES = SLOTS * _SLOT
"""Of one process's counts."""

Memory = mmap.mmap | bytearray


def key_of(peer: str) -> bytes:
    """What stands for a peer: no name of anybody lies in shared memory."""
    return blake2b(peer.encode(), digest_size=_HASH).digest()


class PeerCounts:
    """Counts by key in a bounded table: one process writes, any reads, nobody waits.

    A slot is a key and a count of eight bytes, aligned, so written and read at once. A
    slot that is being filled or emptied has the count 0, and a key is in one slot at
    most; who reads while it changes reads what was or what will be. What finds no slot
    is not there for others.

    Args:
        memory: of all processes; zeros where nobody has written.
        start: where this table begins, a multiple of eight.
    """

    def __init__(self, memory: Memory, start: int) -> None:
        self._memory, self._start = memory, start
        self._bytes = memoryview(memory)[start : start + BYTES]
        self._numbers = self._bytes.cast("q")
        self._slots: dict[bytes, int] = {}
        self._free = list(range(SLOTS - 1, -1, -1))

    def note(self, key: bytes, count: int) -> None:
        """Write a count; for the one process whose table it is, a thread at a time."""
        slot = self._slots.get(key)
        if slot is None:
            if not count or not self._free:
                return
            slot = self._slots[key] = self._free.pop()
            self._set_key(slot, key)
        self._set_count(slot, count)
        if not count:
            self._set_key(slot, bytes(_HASH))
            del self._slots[key]
            self._free.append(slot)

    def of(self, key: bytes) -> int:
        """The count of now; 0 if there is none."""
        at = self._memory.find(key, self._start, self._start + BYTES)
        slot, inside = divmod(at - self._start, _SLOT)
        if at < 0 or inside:
            return 0
        count = self._numbers[(slot + 1) * _NUMBERS - 1]
        # The slot may have changed hands meanwhile.
        return count if self._key(slot) == key else 0

    def clear(self) -> None:
        """Forget all, once the process that wrote is no more."""
        self._bytes[:] = bytes(BYTES)

    def close(self) -> None:
        """Let go of the memory."""
        self._numbers.release()
        self._bytes.release()

    def _key(self, slot: int) -> bytes:
        return bytes(self._bytes[slot * _SLOT : slot * _SLOT + _HASH])

    def _set_key(self, slot: int, key: bytes) -> None:
        self._bytes[slot * _SLOT : slot * _SLOT + _HASH] = key

    def _set_count(self, slot: int, count: int) -> None:
        self._numbers[(slot + 1) * _NUMBERS - 1] = count
