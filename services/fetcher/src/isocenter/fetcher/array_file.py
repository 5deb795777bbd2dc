"""One .npy file, made in place: as large as its array, in memory never.

The file is written under another name and renamed when every slice is in it and on
disk, so a file with its right name is whole. Slices are written by position, from
any thread or process.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

PART = ".part"
"""Suffix of a file that is not whole."""


@dataclass(frozen=True)
class ArraySlot:
    """Where one slice goes; can be sent to another process."""

    path: Path
    offset: int
    dtype: str

    def write(self, values: NDArray[np.generic]) -> None:
        """Put the slice into its place.

        Raises:
            OSError: the file system refused it.
        """
        data = np.ascontiguousarray(values, self.dtype).data.cast("B")
        with self.path.open("r+b", buffering=0) as file:
            written = 0
            while written < len(data):
                written += os.pwrite(
                    file.fileno(), data[written:], self.offset + written
                )


@dataclass(frozen=True)
class ArrayFileWriter:
    """A .npy file that is being written.

    Attributes:
        path: its final name.
        shape: of the array; axis 0 are the slices.
        dtype: numpy name.
        header: bytes before the first slice.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    header: int

    @classmethod
    def create(cls, path: Path, shape: Sequence[int], dtype: str) -> "ArrayFileWriter":
        """Make the file with room for every slice.

        Raises:
            OSError: there is no room, or the directory can't be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + PART)
        array = open_memmap(part, mode="w+", dtype=dtype, shape=tuple(shape))
        header = int(array.offset)
        size = header + array.nbytes
        del array
        with part.open("r+b") as file:
            # The room is taken now: a full disk fails here, not after hours.
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                # The call itself names no file.
                reason = f"{error.strerror} ({size} bytes are needed)"
                raise OSError(error.errno, reason, str(part)) from error
        return cls(path, tuple(shape), dtype, header)

    @property
    def part(self) -> Path:
        """The file's name until it is whole."""
        return self.path.with_name(self.path.name + PART)

    @property
    def slice_bytes(self) -> int:
        """Size of one slice."""
        count = int(np.prod(self.shape[1:], dtype=np.int64))
        return count * np.dtype(self.dtype).itemsize

    def slot(self, index: int) -> ArraySlot:
        """Where slice ``index`` goes."""
        offset = self.header + index * self.slice_bytes
        return ArraySlot(self.part, offset, self.dtype)

    def keep(self, indices: Iterable[int]) -> "ArrayFileWriter":
        """The same file with only some of its slices, in order."""
        kept = sorted(indices)
        whole = self.part.with_name(self.part.name + ".whole")
        self.part.rename(whole)
        smaller = ArrayFileWriter.create(
            self.path, (len(kept), *self.shape[1:]), self.dtype
        )
        with whole.open("rb") as source, smaller.part.open("r+b") as target:
            target.seek(smaller.header)
            for index in kept:
                source.seek(self.header + index * self.slice_bytes)
                target.write(source.read(self.slice_bytes))
        whole.unlink()
        return smaller

    def finish(self) -> tuple[int, str]:
        """Make it durable under its name; answers bytes and SHA-256 in hex."""
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        self.part.rename(self.path)
        sync_directory(self.path.parent)
        return size, digest

    def discard(self) -> None:
        """Remove what was written."""
        self.part.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, body: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_directory(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
