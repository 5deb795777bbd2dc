"""Frames as HealthImaging stores them: HTJ2K lossless, RPCL, TLM, a tile-part a level.

Made from a generated image. A frame's id stands in a comment (COM) at the end of its
main header, so that every id has bytes of its own and a mixed-up answer is seen.
Positions as ISO/IEC 15444-1 annex A: SOT (A.4.2) has Psot, the tile-part's length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import imagecodecs
import numpy as np

DATASTORE, IMAGE_SET = "d" * 32, "5" * 32
USUAL, LARGE = "a", "b"
"""First character of the ids of usual frames (188 KB) and large ones (3 MB)."""
MEDIA_TYPE = "image/jph"

EOC = b"\xff\xd9"
"""End of codestream (A.4.4)."""

_SOT = b"\xff\x90"
_ID_LENGTH = 32
_COM = b"\xff\x64" + (4 + _ID_LENGTH).to_bytes(2, "big") + b"\x00\x01"
_SIZES = {USUAL: (512, 6.5), LARGE: (2048, 10.0)}
"""Side in pixels and noise (standard deviation) by the kind of frame."""


@dataclass(frozen=True)
class Mould:
    """What all frames of a kind have in common.

    Attributes:
        before: bytes before the id.
        after: bytes after it.
        ends: where the levels' bytes end, level 0 first; EOC is after the last.
    """

    before: bytes
    after: bytes
    ends: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of a whole frame."""
        return len(self.before) + _ID_LENGTH + len(self.after)

    def frame(self, frame_id: str) -> bytes:
        """The frame of this id, whole."""
        return self.before + frame_id.encode() + self.after


def moulds(*kinds: str) -> dict[str, Mould]:
    """The moulds of these kinds.

    Raises:
        RuntimeError: what the encoder made does not decode to the image.
    """
    return {kind: _mould(*_SIZES[kind]) for kind in kinds}


def ids(kind: str, purpose: int) -> Iterator[str]:
    """An endless iterator of new ids; those of two purposes never meet."""
    return (f"{kind}{purpose:07x}{number:024x}" for number in count())


def _mould(side: int, noise: float) -> Mould:
    image = _image(side, noise)
    coded = bytes(
        imagecodecs.htj2k_encode(
            image,
            reversible=True,
            resolutions=5,
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )
    start = coded.index(_SOT)
    mould = Mould(
        coded[:start] + _COM, coded[start:], _ends(coded, start, len(_COM) + _ID_LENGTH)
    )
    if not np.array_equal(imagecodecs.htj2k_decode(mould.frame("0" * 32)), image):
        raise RuntimeError("a prepared frame does not decode to its image")
    return mould


def _image(side: int, noise: float) -> Any:
    """An ellipse with structure and noise on air, 12 bits in 16, as a CT slice."""
    random = np.random.default_rng(20231107)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = (x**2 / 0.8 + y**2 / 0.55) < 1
    structure = 180 * np.sin(9 * x) * np.cos(7 * y) + 90 * np.sin(31 * x * y)
    values = np.where(body, 1040 + structure, 24) + random.normal(
        0, noise, (side, side)
    )
    return np.clip(values, 0, 4095).astype(np.uint16)


def _ends(coded: bytes, start: int, shift: int) -> tuple[int, ...]:
    ends = []
    while coded[start : start + 2] == _SOT:
        start += int.from_bytes(coded[start + 6 : start + 10], "big")
        ends.append(start + shift)
    if coded[start:] != EOC:
        raise RuntimeError("a prepared frame does not end with EOC")
    return tuple(ends)
