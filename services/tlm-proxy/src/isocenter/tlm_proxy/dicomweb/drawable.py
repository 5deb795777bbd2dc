"""Which frames a picture can be made of, and how much of them it takes. Pure."""

import math

from isocenter.tlm_proxy.dicomweb.media_types import (
    EXPLICIT_LITTLE_ENDIAN,
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
)
from isocenter.tlm_proxy.dicomweb.presentation import Presentation

MAX_PIXELS = 100_000_000
"""Of a frame that is drawn; whole slides come in tiles."""
COLOUR = 3
YBR_FULL = frozenset({"YBR_FULL", "YBR_FULL_422"})
_COLOURS = YBR_FULL | {"RGB", "YBR_RCT", "YBR_ICT"}


def is_drawable(syntax: str, shown: Presentation) -> bool:
    """A picture can be made of frames stored in ``syntax``."""
    if not 0 < shown.rows * shown.columns <= MAX_PIXELS:
        return False
    if not (shown.monochrome or shown.photometric in _COLOURS):
        return False
    if shown.samples != (1 if shown.monochrome else COLOUR):
        return False
    return syntax in HTJ2K | JPEG_2000 | {JPEG_BASELINE, EXPLICIT_LITTLE_ENDIAN}


def reduction(shown: Presentation, box: tuple[int, int]) -> int:
    """The largest n at which 1/2^n of a frame isn't smaller than its picture."""
    width, height = box
    scale = max(shown.columns / width, shown.rows / height)
    return max(math.floor(math.log2(scale)), 0) if scale > 1 else 0
