"""Attributes of each frame of an instance. Pure.

An enhanced multi-frame instance keeps what differs between frames in functional
groups (PS3.3 C.7.6.16): each is a sequence of one item, per frame or shared. Here
they are laid over the instance's own attributes, so that a frame of a multi-frame
instance and an instance of one frame read alike.
"""

import math
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

from isocenter.core.healthimaging.image_set import Attributes, numbers

_TRANSVERSE = 1e-3
"""Length of a transverse plane's normal across the patient's z, by rounding."""


def frame_attributes(dicom: Attributes, frames: int) -> Iterator[Attributes]:
    """One mapping a frame, in frame order; ``number`` and ``text`` read them.

    Args:
        dicom: the instance's attributes.
        frames: how many frames the instance has.
    """
    shared = _first_item(dicom.get("SharedFunctionalGroupsSequence"))
    per_frame = dicom.get("PerFrameFunctionalGroupsSequence")
    # A list of another length says nothing about which frame an item is for.
    items = (
        per_frame if isinstance(per_frame, list) and len(per_frame) == frames else ()
    )
    base = [_flat(shared), dict(dicom)] if shared else [dict(dicom)]
    if frames > 1 and not items:
        positions = _offset_positions(dicom, frames)
        # One position for many frames is the position of none but the first.
        hidden: dict[str, Any] = {"ImagePositionPatient": None}
        for index in range(frames):
            own = {"ImagePositionPatient": positions[index]} if positions else hidden
            yield ChainMap(own, *base)
        return
    for index in range(frames):
        own = _flat(items[index]) if items else {}
        yield ChainMap(own, *base)


def _flat(groups: object) -> dict[str, Any]:
    """The attributes of all functional groups of one frame, in one mapping."""
    flat: dict[str, Any] = {}
    if isinstance(groups, Mapping):
        for value in groups.values():
            flat.update(_first_item(value))
    return flat


def _first_item(sequence: object) -> Mapping[str, Any]:
    if isinstance(sequence, list) and sequence and isinstance(sequence[0], Mapping):
        return sequence[0]
    return {}


def _offset_positions(dicom: Attributes, frames: int) -> list[list[float]] | None:
    """Positions of a dose grid's planes (PS3.3 C.8.8.3.2, GridFrameOffsetVector)."""
    offsets = numbers(dicom, "GridFrameOffsetVector")
    position = numbers(dicom, "ImagePositionPatient")
    orientation = numbers(dicom, "ImageOrientationPatient")
    if (
        offsets is None
        or len(offsets) != frames
        or position is None
        or len(position) != len("xyz")
        or orientation is None
        or len(orientation) != 2 * len("xyz")
    ):
        return None
    (ax, ay, az), (bx, by, bz) = orientation[:3], orientation[3:]
    normal = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    # The vector's other form, known by its first element: patient z of each plane,
    # allowed for transverse planes. Their normal may point to the feet.
    absolute = offsets[0] != 0 and math.hypot(normal[0], normal[1]) < _TRANSVERSE
    along = (0.0, 0.0, 1.0) if absolute else normal
    return [
        [p + n * (offset - offsets[0]) for p, n in zip(position, along, strict=True)]
        for offset in offsets
    ]
