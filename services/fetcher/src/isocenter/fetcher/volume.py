"""Geometry of a stack of slices: order, spacing, origin, direction. Pure.

Coordinates are DICOM patient coordinates in mm (PS3.3 C.7.6.2): x to the left, y to
the back, z to the head.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Vector = tuple[float, float, float]

_UNIT_TOLERANCE = 1e-2
"""How far written direction cosines may be from unit length and right angles."""
_SPACING_DIGITS = 6
_PARALLEL_TOLERANCE = 1e-3
"""Distance of the unit vectors of slices that count as parallel, 0.06 degrees."""
_STEP_TOLERANCE = (0.01, 0.01)
"""Steps of a uniform volume differ by at most this share, or this many mm."""
POSITION_GRID = 1e-3
"""mm below which two slices are at one place: written positions are rounded."""


@dataclass(frozen=True)
class Orientation:
    """Row and column cosines (ImageOrientationPatient)."""

    row: Vector
    column: Vector

    @property
    def normal(self) -> Vector:
        """Unit vector that rows and columns turn about, right-handed."""
        (ax, ay, az), (bx, by, bz) = self.row, self.column
        cross = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
        return _scaled(cross, 1 / math.hypot(*cross))


@dataclass(frozen=True)
class Plane:
    """Where one slice lies; None where the source does not say."""

    orientation: Orientation | None = None
    position: Vector | None = None
    pixel_spacing: tuple[float, float] | None = None
    slice_spacing: float | None = None


@dataclass(frozen=True)
class Geometry:
    """Of an array; ``None`` is unknown.

    Attributes:
        spacing: mm between centres along z, y, x; the median along z.
        origin: mm, centre of the first voxel.
        direction: cosines of a row, a column and from slice to slice. The third is
            the line through the slices' positions: with a tilted gantry it is not
            at right angles to the others.
        uniform: ``origin + index * spacing * direction`` is true for every slice.
    """

    spacing: Vector | None
    origin: Vector | None
    direction: tuple[float, ...] | None
    uniform: bool


def read_orientation(cosines: Sequence[float] | None) -> Orientation | None:
    """Six numbers as cosines; None unless two unit vectors at a right angle."""
    if cosines is None or len(cosines) != 2 * len("xyz"):
        return None
    row, column = tuple(cosines[:3]), tuple(cosines[3:])
    if not all(math.isfinite(value) for value in cosines):
        return None
    if (
        abs(math.hypot(*row) - 1) > _UNIT_TOLERANCE
        or abs(math.hypot(*column) - 1) > _UNIT_TOLERANCE
        or abs(sum(a * b for a, b in zip(row, column, strict=True))) > _UNIT_TOLERANCE
    ):
        return None
    return Orientation((row[0], row[1], row[2]), (column[0], column[1], column[2]))


def is_parallel(one: Orientation | None, other: Orientation | None) -> bool:
    """Both unknown, or equal but for the last digits that were written."""
    if one is None or other is None:
        return one is other
    return (
        math.dist(one.row, other.row) < _PARALLEL_TOLERANCE
        and math.dist(one.column, other.column) < _PARALLEL_TOLERANCE
    )


def depth(plane: Plane) -> float | None:
    """Distance in mm along the slice normal, on a grid: equal places are equal."""
    if plane.orientation is None or plane.position is None:
        return None
    along = _dot(plane.position, plane.orientation.normal)
    return round(along / POSITION_GRID) * POSITION_GRID


def geometry(planes: Sequence[Plane]) -> Geometry:
    """The geometry of slices that share orientation and pixel spacing, in order."""
    first = planes[0]
    positions = [plane.position for plane in planes if plane.position is not None]
    if first.orientation is None or len(positions) != len(planes):
        return Geometry(_spacing(first, _lone(planes)), None, None, len(planes) == 1)
    steps = [_difference(a, b) for a, b in pairwise(positions)]
    along = _stacking(positions, first.orientation)
    step = median([_dot(s, along) for s in steps]) if steps else first.slice_spacing
    usable = step if step and step > POSITION_GRID else None
    return Geometry(
        spacing=_spacing(first, usable),
        origin=positions[0],
        direction=(*first.orientation.row, *first.orientation.column, *along),
        uniform=not steps or (usable is not None and _even(steps, along, usable)),
    )


def _lone(planes: Sequence[Plane]) -> float | None:
    """Without positions only a slice by itself has a spacing: the written one."""
    return planes[0].slice_spacing if len(planes) == 1 else None


def _spacing(plane: Plane, step: float | None) -> Vector | None:
    if plane.pixel_spacing is None or step is None:
        return None
    # Differences of written positions carry noise in their last digits.
    return (round(step, _SPACING_DIGITS), *plane.pixel_spacing)


def _stacking(positions: Sequence[Vector], orientation: Orientation) -> Vector:
    """Unit vector from slice to slice; the normal where there is only one place."""
    span = _difference(positions[0], positions[-1])
    if _dot(span, orientation.normal) < POSITION_GRID:
        return orientation.normal
    return _scaled(span, 1 / math.hypot(*span))


def _even(steps: Sequence[Vector], along: Vector, step: float) -> bool:
    share, least = _STEP_TOLERANCE
    tolerance = max(least, share * step)
    wanted = _scaled(along, step)
    return all(math.dist(taken, wanted) <= tolerance for taken in steps)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _difference(a: Vector, b: Vector) -> Vector:
    return (b[0] - a[0], b[1] - a[1], b[2] - a[2])


def _scaled(a: Vector, by: float) -> Vector:
    return (a[0] * by, a[1] * by, a[2] * by)
