"""Patches drawn from planes by chance."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isocenter.pipeline.training.partition import Plane

_TRIES = 4
_STRUCTURE = 0.02
"""Standard deviation below which a patch is background, in the range [0, 1]. Flat
air is trivially denoised: it would raise the figures and teach nothing."""


def draw(
    planes: Sequence[Plane], rng: np.random.Generator, count: int, side: int
) -> NDArray[np.float32]:
    """``count`` patches: [count, side, side, 1], values in [0, 1]."""
    chosen = rng.integers(len(planes), size=count)
    return np.stack([_structured(planes[i], rng, side) for i in chosen])[..., None]


def _structured(
    plane: Plane, rng: np.random.Generator, side: int
) -> NDArray[np.float32]:
    """The first patch with structure in it, or the best of four."""
    best = _anywhere(plane, rng, side)
    for _ in range(_TRIES - 1):
        if best.std() >= _STRUCTURE:
            break
        other = _anywhere(plane, rng, side)
        if other.std() > best.std():
            best = other
    return best


def _anywhere(plane: Plane, rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A patch at a place by chance; a plane that is too small is mirrored."""
    height = plane.bottom - plane.top
    y = plane.top + int(rng.integers(max(1, height - side + 1)))
    x = int(rng.integers(max(1, plane.width - side + 1)))
    piece = plane.volume.crop(
        plane.z, slice(y, min(y + side, plane.bottom)), slice(x, x + side)
    )
    missing = [(0, side - length) for length in piece.shape]
    return np.pad(piece, missing, mode="symmetric")
