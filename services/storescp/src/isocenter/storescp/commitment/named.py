"""Which instances the manifests name that were read: to read none for nothing again."""

import threading
from array import array
from bisect import insort
from collections.abc import Collection, Iterable

_ENTRY_BYTES = 400
"""About what a manifest takes here beside its instances."""


class Named:
    """Hashes of the SOP Instance UIDs in manifests, the newest ones; safe for threads.

    A manifest never changes once it is there. Of each instance eight bytes are kept:
    two UIDs may have the same, so that a manifest is read once more for nothing.

    Args:
        max_bytes: beyond it the oldest manifests are forgotten.
    """

    def __init__(self, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._hashes: dict[str, array[int]] = {}
        self._order: list[str] = []
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What is kept."""
        return self._bytes

    def add(self, key: str, uids: Iterable[str]) -> None:
        """Remember a manifest's instances.

        Args:
            key: of the manifest; later batches have greater ones.
            uids: SOP Instance UIDs.
        """
        hashes = array("q", sorted({hash(uid) for uid in uids}))
        with self._lock:
            if key in self._hashes:
                return
            self._hashes[key] = hashes
            insort(self._order, key)
            self._bytes += _size(hashes)
            while self._bytes > self._max_bytes:
                self._bytes -= _size(self._hashes.pop(self._order.pop(0)))

    def lacks(self, key: str, hashes: frozenset[int]) -> bool:
        """Whether a manifest was read, and names none of some instances.

        Args:
            key: of the manifest.
            hashes: of their SOP Instance UIDs, by ``hashes_of``.
        """
        known = self._hashes.get(key)
        return known is not None and hashes.isdisjoint(known)


def hashes_of(uids: Collection[str]) -> frozenset[int]:
    """What ``Named.lacks`` asks for."""
    return frozenset(hash(uid) for uid in uids)


def _size(hashes: "array[int]") -> int:
    return _ENTRY_BYTES + hashes.itemsize * len(hashes)
