"""Instances as gzip files (RFC 1952), where nobody imports them.

The same file gives the same bytes, so that putting again is the same thing.
"""

import contextlib
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".gz"
CONTENT_TYPE = "application/gzip"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
"""No name and no time in the header."""
_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Compressed:
    """A gzip file and what is known of it."""

    path: Path
    bytes: int
    sha256: str


@contextmanager
def compressed_file(source: Path, folder: Path, level: int) -> Iterator[Compressed]:
    """A file's gzip form, for as long as the context lasts.

    Args:
        source: the file; read in pieces.
        folder: for the temporary file. What a kill leaves there is not ours to find.
        level: 1 to 9.

    Raises:
        OSError: the volume's.
    """
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=SUFFIX)
    path = Path(name)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(descriptor, "wb") as out, source.open("rb") as file:
            for piece in _pieces(file, level):
                out.write(piece)
                digest.update(piece)
                size += len(piece)
        yield Compressed(path, size, digest.hexdigest())
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _pieces(file: BinaryIO, level: int) -> Iterator[bytes]:
    machine = zlib.compressobj(level, zlib.DEFLATED, _GZIP_FORMAT)
    while piece := file.read(_PIECE):
        yield machine.compress(piece)
    yield machine.flush()


def compressed(content: bytes, level: int) -> bytes:
    """A small document's gzip form."""
    return zlib.compress(content, level, wbits=_GZIP_FORMAT)
