import math

import pytest

from isocenter.fetcher.volume import (
    Orientation,
    Plane,
    depth,
    geometry,
    is_parallel,
    read_orientation,
)

AXIAL = Orientation((1, 0, 0), (0, 1, 0))
UP = (0, 0, 1)
SAGITTAL = Orientation((0, 1, 0), (0, 0, -1))


def planes(*positions, orientation=AXIAL, spacing=(0.5, 0.75), between=None):
    return [Plane(orientation, p, spacing, between) for p in positions]


@pytest.mark.parametrize(
    ("cosines", "known"),
    [
        ((1, 0, 0, 0, 1, 0), True),
        ((0.999, 0.02, 0, -0.02, 0.999, 0), True),
        ((1, 0, 0, 1, 0, 0), False),
        ((0, 0, 0, 0, 1, 0), False),
        ((2, 0, 0, 0, 1, 0), False),
        ((math.nan, 0, 0, 0, 1, 0), False),
        ((1, 0, 0), False),
        (None, False),
    ],
)
def test_orientation(cosines, known):
    assert (read_orientation(cosines) is not None) == known


@pytest.mark.parametrize(
    ("orientation", "normal"),
    [(AXIAL, (0, 0, 1)), (SAGITTAL, (-1, 0, 0))],
)
def test_normal(orientation, normal):
    assert orientation.normal == pytest.approx(normal)


def test_depth_is_along_the_normal_and_on_a_grid():
    one = Plane(SAGITTAL, (-3.0, 9.0, 9.0))
    other = Plane(SAGITTAL, (-3.0000001, 1.0, 1.0))
    assert depth(one) == depth(other) == pytest.approx(3.0)
    assert depth(Plane(SAGITTAL, None)) is None
    assert depth(Plane(None, (1, 2, 3))) is None


@pytest.mark.parametrize(
    ("given", "spacing", "third", "uniform"),
    [
        # Even steps along the normal.
        (planes((0, 0, 0), (0, 0, 2), (0, 0, 4)), (2, 0.5, 0.75), UP, True),
        # Rounded positions are even all the same.
        (planes((0, 0, 0), (0, 0, 1.67), (0, 0, 3.33)), (1.665, 0.5, 0.75), UP, True),
        # A gap.
        (planes((0, 0, 0), (0, 0, 2), (0, 0, 4), (0, 0, 8)), (2, 0.5, 0.75), UP, False),
        # A tilted gantry: even, but not at right angles.
        (planes((0, 0, 0), (0, 3, 4), (0, 6, 8)), (5, 0.5, 0.75), (0, 0.6, 0.8), True),
        # Slices that are shifted to one side and back.
        (planes((0, 0, 0), (0, 1, 2), (0, 0, 4)), (2, 0.5, 0.75), UP, False),
        # All at one place.
        (planes((0, 0, 0), (0, 0, 0)), None, UP, False),
        # One slice: the written distance or thickness.
        (planes((0, 0, 0), between=3.0), (3, 0.5, 0.75), UP, True),
        (planes((0, 0, 0)), None, UP, True),
        (planes((0, 0, 0), (0, 0, 2), spacing=None), None, UP, True),
    ],
)  # fmt: skip
def test_geometry(given, spacing, third, uniform):
    found = geometry(given)
    assert found.spacing == (
        None if spacing is None else pytest.approx(spacing, abs=1e-3)
    )
    assert found.origin == (0, 0, 0)
    assert found.direction == pytest.approx((1, 0, 0, 0, 1, 0, *third))
    assert found.uniform is uniform


@pytest.mark.parametrize("steps", [(0, 1, 2, 3), (0, 2.5, 5, 7.5)])
def test_a_uniform_volume_tells_where_each_slice_is(steps):
    tilt = (0.0, 0.3, 0.9)
    positions = [tuple(-7 + s * t for t in tilt) for s in steps]
    found = geometry(planes(*positions))
    assert found.uniform
    step = [c * found.spacing[0] for c in found.direction[6:]]
    for index, position in enumerate(positions):
        there = [o + index * s for o, s in zip(found.origin, step, strict=True)]
        assert there == pytest.approx(position, abs=1e-5)


@pytest.mark.parametrize(("count", "uniform"), [(1, True), (2, False)])
def test_without_positions_nothing_is_claimed(count, uniform):
    found = geometry([Plane()] * count)
    assert (found.spacing, found.origin, found.direction) == (None, None, None)
    assert found.uniform is uniform


def test_parallel():
    turned = Orientation((math.cos(0.01), math.sin(0.01), 0), (0, 1, 0))
    written = Orientation((0.9999999, 0.0001, 0), (0, 1, 0))
    assert is_parallel(AXIAL, written)
    assert not is_parallel(AXIAL, turned)
    assert not is_parallel(AXIAL, None)
    assert is_parallel(None, None)
