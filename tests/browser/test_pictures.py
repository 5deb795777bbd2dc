"""Right pictures, or none: every pixel against numpy."""

import numpy as np
from support.browser import FULL, REDUCED, Figures

FIRST_BYTES_PER_S = 60_000


def values_of(series):
    """A series's frames by instance and frame number."""
    if len(series.instances) == 1:
        (instance,) = series.instances
        return {(instance, n): v for n, v in enumerate(series.values, start=1)}
    return {
        (instance, 1): values
        for instance, values in zip(series.instances, series.values, strict=True)
    }


def full_picture(viewer):
    """The first stack's picture, once it is at full quality."""

    def full():
        shown = viewer.shown()
        return shown[0] if shown and shown[0].quality == FULL else None

    return viewer.until(full, "a picture of full quality")


def assert_right(picture, series):
    values = values_of(series)[picture.instance, picture.frame]
    assert picture.figures == Figures.of(values), (picture.instance, picture.frame)


def test_every_slice_of_a_stack_is_right(viewer, studies):
    viewer.open_study(studies.volume.study)
    assert_right(full_picture(viewer), studies.volume)
    seen = set()
    for index in range(0, len(studies.volume.instances), 5):
        viewer.show_slice(index)
        picture = full_picture(viewer)
        assert_right(picture, studies.volume)
        seen.add(picture.instance)
    assert len(seen) == 5
    (grey,) = viewer.brightness()
    assert grey > 2, "the viewport is black"


def test_mpr_after_a_stack_has_every_slice_whole(viewer, studies):
    viewer.open_study(studies.volume.study)
    viewer.choose_layout("MPR")

    def whole():
        volumes = viewer.volumes()
        quality = {p.quality if p else None for slices in volumes for p in slices}
        return volumes if quality == {FULL} else None

    (slices,) = viewer.until(whole, "a volume of full quality")
    assert {p.instance for p in slices} == set(studies.volume.instances)
    for picture in slices:
        assert_right(picture, studies.volume)
    assert viewer.viewport_types() == ["orthographic"] * 3

    def painted():
        return min(viewer.brightness()) > 2 or None

    viewer.until(painted, "three painted planes")


def test_colour_cine_is_right_frame_by_frame(viewer, studies):
    viewer.open_study(studies.cine.study)
    for index, values in enumerate(studies.cine.values):
        viewer.show_slice(index)
        picture = full_picture(viewer)
        assert picture.frame == index + 1
        assert picture.figures == Figures.of(values)


def test_the_first_picture_comes_from_a_reduced_level(viewer, studies):
    # What the viewer's code needs is in the browser's cache before the link is slow.
    viewer.open_study(studies.cine.study)
    full_picture(viewer)
    viewer.open_list()
    viewer.throttle(FIRST_BYTES_PER_S)
    before = len(viewer.asked)
    viewer.launch(studies.large.patient)
    first = viewer.until(lambda: next(iter(viewer.shown()), None), "a picture")
    assert first.quality == REDUCED
    assert (first.figures.rows, first.figures.columns) == (256, 256)
    viewer.screenshot("first-picture-reduced")
    mean = first.figures.sum / (256 * 256)
    assert abs(mean - np.mean(studies.large.values[0])) < 20, "another study's picture"
    viewer.throttle(None)
    picture = full_picture(viewer)
    assert picture.figures == Figures.of(studies.large.values[0])
    frames = [a.path for a in viewer.asked[before:] if "/frames/" in a.path]
    reduced = [path.endswith("?reduce=2") for path in frames]
    assert reduced == [True, False], frames
