import re

import pytest

from isocenter.core.dataset import OmissionReason
from isocenter.core.healthimaging.image_set import (
    Frame,
    ImageSetMetadata,
    Instance,
)
from isocenter.fetcher.pixels import Rescale
from isocenter.fetcher.plan import plan_image_set

PIXELS = {
    "Rows": 4,
    "Columns": 6,
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "PixelRepresentation": 0,
    "PhotometricInterpretation": "MONOCHROME2 ",
}
AXIAL = ["1", "0", "0", "0", "1", "0"]
CORONAL = "1\\0\\0\\0\\0\\-1"


def instance(uid, number, z=None, *, frames=1, series="1", syntax="x", **dicom):
    place = {}
    if z is not None:
        place = {
            "ImageOrientationPatient": AXIAL,
            "ImagePositionPatient": ["0", "0", f"{z} "],
            "PixelSpacing": ["1", "1"],
        }
    attributes = {**PIXELS, "InstanceNumber": f"{number} ", **place, **dicom}
    return Instance(
        sop_instance_uid=uid,
        series_instance_uid=series,
        dicom=attributes,
        stored_transfer_syntax=syntax,
        frames=tuple(Frame(f"{uid}/{i + 1}", i) for i in range(frames)),
    )


def plan(*instances):
    metadata = ImageSetMetadata("d", "i", {}, {}, {}, instances)
    return plan_image_set(metadata, "i", lambda syntax: syntax == "x")


def stacked(*instances):
    found = plan(*instances)
    assert not found.omissions
    return [[s.frame.id for s in array.slices] for array in found.arrays]


TEMPORAL = "TemporalPositionIdentifier"


@pytest.mark.parametrize(
    ("instances", "wanted"),
    [
        pytest.param(
            [instance("a", 1, 30), instance("b", 2, 10), instance("c", 3, 20)],
            [["b/1", "c/1", "a/1"]],
            id="by place, not by number",
        ),
        pytest.param(
            [instance("a", 10), instance("b", 9), instance("c", 11)],
            [["b/1", "a/1", "c/1"]],
            id="by number as a number where there is no place",
        ),
        pytest.param(
            [instance("a", 1, 10), instance("b", 3, 20),
             instance("s", 2, 10, ImageOrientationPatient=CORONAL)],
            [["a/1", "b/1"], ["s/1"]],
            id="a localizer of another orientation",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2, Rows=8), instance("c", 3, 3)],
            [["a/1", "c/1"], ["b/1"]],
            id="another size",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2, PixelRepresentation=1)],
            [["a/1"], ["b/1"]],
            id="another sign",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2, PixelSpacing=["2", "2"])],
            [["a/1"], ["b/1"]],
            id="another pixel spacing",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2, series="2")],
            [["a/1"], ["b/1"]],
            id="another series",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2)],
            [["a/1"], ["b/1"]],
            id="one without a place",
        ),
        pytest.param(
            [instance("a", 1, 1, EchoNumbers="2"),
             instance("b", 2, 1, EchoNumbers="1"),
             instance("c", 3, 2, EchoNumbers="2"),
             instance("d", 4, 2, EchoNumbers="1")],
            [["a/1", "c/1"], ["b/1", "d/1"]],
            id="echoes at the same places",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2),
             instance("c", 3, 1), instance("d", 4, 2)],
            [["a/1", "b/1"], ["c/1", "d/1"]],
            id="passes that only their numbers tell apart",
        ),
        pytest.param(
            [instance("a", 1, 1), instance("b", 2, 2), instance("c", 3, 1)],
            [["a/1", "c/1", "b/1"]],
            id="an odd repeat stays, in order",
        ),
        pytest.param(
            [instance("a", 1, 1, **{TEMPORAL: "1", "EchoNumbers": "1"}),
             instance("b", 2, 1, **{TEMPORAL: "1", "EchoNumbers": "2"}),
             instance("c", 3, 1, **{TEMPORAL: "2", "EchoNumbers": "1"}),
             instance("d", 4, 1, **{TEMPORAL: "2", "EchoNumbers": "2"})],
            [["a/1"], ["b/1"], ["c/1"], ["d/1"]],
            id="time points times echoes",
        ),
        pytest.param(
            [instance("a", 1, frames=2), instance("b", 2, frames=2)],
            [["a/1", "a/2"], ["b/1", "b/2"]],
            id="two cine loops are not one",
        ),
        pytest.param(
            [instance("a", 1, frames=2, ConcatenationUID="k"),
             instance("b", 2, frames=2, ConcatenationUID="k")],
            [["a/1", "a/2", "b/1", "b/2"]],
            id="a concatenation is one",
        ),
    ],
)  # fmt: skip
def test_stacks(instances, wanted):
    assert stacked(*instances) == wanted


def per_frame(*groups):
    shared = {
        "PlaneOrientationSequence": [{"ImageOrientationPatient": AXIAL}],
        "PixelMeasuresSequence": [{"PixelSpacing": ["2", "3"]}],
        "PixelValueTransformationSequence": [
            {"RescaleSlope": "2", "RescaleIntercept": "-5 "}
        ],
    }
    return {
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": [
            {
                "PlanePositionSequence": [{"ImagePositionPatient": ["0", "0", z]}],
                "FrameContentSequence": [{"TemporalPositionIndex": t}],
            }
            for z, t in groups
        ],
    }


def test_functional_groups_place_each_frame():
    found = plan(instance("a", 1, frames=3, **per_frame(("9", 1), ("3", 1), ("6", 1))))
    (array,) = found.arrays
    assert [s.frame_number for s in array.slices] == [2, 3, 1]
    assert array.geometry.spacing == pytest.approx((3, 2, 3))
    assert array.geometry.origin == (0, 0, 3)
    assert array.rescale == Rescale(2, -5)


def test_functional_groups_tell_time_points_apart():
    groups = per_frame(("0", 1), ("0", 2), ("5", 1), ("5", 2))
    assert stacked(instance("a", 1, frames=4, **groups)) == [
        ["a/1", "a/3"],
        ["a/2", "a/4"],
    ]


def test_segments_are_never_in_one_stack():
    groups = per_frame(("0", 1), ("1", 1))
    for number, item in enumerate(groups["PerFrameFunctionalGroupsSequence"]):
        item["SegmentIdentificationSequence"] = [{"ReferencedSegmentNumber": number}]
    assert stacked(instance("a", 1, frames=2, **groups)) == [["a/1"], ["a/2"]]


def test_functional_groups_of_another_count_are_not_used():
    groups = per_frame(("9", 1), ("3", 1))
    assert stacked(instance("a", 1, frames=3, **groups)) == [["a/1", "a/2", "a/3"]]


def test_a_dose_grid_has_its_offsets():
    found = plan(
        instance("a", 1, 7, frames=3, GridFrameOffsetVector=["0", "-2", "-4"],
                 DoseGridScaling="0.001")
    )  # fmt: skip
    (array,) = found.arrays
    assert [s.frame_number for s in array.slices] == [3, 2, 1]
    assert array.geometry.origin == (0, 0, 3)
    assert array.geometry.spacing == (2, 1, 1)
    assert array.rescale == Rescale(0.001)


def test_one_position_for_many_frames_is_not_a_place():
    (array,) = plan(instance("a", 1, 7, frames=2)).arrays
    assert array.geometry.origin is None
    assert not array.geometry.uniform


@pytest.mark.parametrize(
    ("allocated", "slopes", "dtype", "rescale"),
    [
        (16, ("1", "1 "), "uint16", Rescale()),
        (16, ("2", "2.0"), "uint16", Rescale(2)),
        (16, (None, None), "uint16", Rescale()),
        (16, ("0", "0"), "uint16", Rescale()),
        (16, ("1", "2"), "float32", None),
        (32, ("1", "2"), "float64", None),
    ],
)
def test_rescale(allocated, slopes, dtype, rescale):
    (array,) = plan(
        *(
            instance(str(i), i, i, RescaleSlope=s, BitsAllocated=allocated)
            for i, s in enumerate(slopes)
        )
    ).arrays
    assert (array.dtype, array.rescale) == (dtype, rescale)


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        (
            instance("r", 1, frames=0, Rows=None, Columns=None),
            OmissionReason.NO_FRAMES,
            "it has no frames",
        ),
        (
            instance("r", 1, frames=0),
            OmissionReason.METADATA_MALFORMED,
            "image without frames",
        ),
        (
            instance("v", 1, syntax="1.2.840.10008.1.2.4.102"),
            OmissionReason.TRANSFER_SYNTAX_NOT_DECODABLE,
            r"1\.2\.840\.10008\.1\.2\.4\.102",
        ),
        (
            instance("n", 1, frames=2, NumberOfFrames="3 "),
            OmissionReason.METADATA_MALFORMED,
            "NumberOfFrames is 3, there are 2",
        ),
        (
            instance("p", 1, PixelRepresentation=None),
            OmissionReason.METADATA_MALFORMED,
            "PixelRepresentation",
        ),
        (
            instance("p", 1, BitsAllocated=12),
            OmissionReason.METADATA_MALFORMED,
            "BitsAllocated is 12",
        ),
        (
            instance("p", 1, SamplesPerPixel="two"),
            OmissionReason.METADATA_MALFORMED,
            "SamplesPerPixel",
        ),
        (instance("p", 1, Rows=0), OmissionReason.METADATA_MALFORMED, "Rows"),
        (instance("p", 1, Rows=10**9), OmissionReason.METADATA_MALFORMED, "over 65535"),
        (instance("p", 1, Rows="1e999"), OmissionReason.METADATA_MALFORMED, "Rows"),
        (instance("p", 1, Columns="nan"), OmissionReason.METADATA_MALFORMED, "Columns"),
        (
            instance("p", 1, RescaleSlope="1,5"),
            OmissionReason.METADATA_MALFORMED,
            "RescaleSlope is not a number",
        ),
    ],
)
def test_an_instance_that_cannot_be_used_is_named(bad, reason, words):
    found = plan(instance("good", 1, 1), bad)
    assert [[s.frame.id for s in a.slices] for a in found.arrays] == [["good/1"]]
    (omission,) = found.omissions
    assert omission.reason == reason
    assert omission.sop_instance_uid == bad.sop_instance_uid
    assert re.search(words, omission.message)


def test_an_empty_image_set_is_named():
    (omission,) = plan().omissions
    assert omission.reason == OmissionReason.NO_FRAMES


def test_paths_count_series_and_arrays():
    found = plan(
        instance("a", 1, 1),
        instance("b", 2, 2, Rows=9),
        instance("c", 1, 1, series="2"),
    )
    assert [a.path for a in found.arrays] == [
        "i/001-001.npy",
        "i/001-002.npy",
        "i/002-001.npy",
    ]
    assert found.frames == 3


@pytest.mark.parametrize("written", ["nan", "inf", "1e999", "x"])
def test_a_place_that_is_no_number_is_no_place(written):
    lost = instance("b", 2, 2, ImagePositionPatient=["0", "0", written])
    placed, alone = plan(instance("a", 1, 1), lost).arrays
    assert placed.geometry.origin == (0, 0, 1)
    assert alone.geometry.origin is None


def test_colours_that_decode_differently_are_not_one_array():
    colour = {"SamplesPerPixel": 3, "BitsAllocated": 8, "BitsStored": 8}
    said = {**colour, "PhotometricInterpretation": "YBR_FULL"}
    jpeg = instance("a", 1, 1, syntax="1.2.840.10008.1.2.4.50", **said)
    metadata = ImageSetMetadata(
        "d", "i", {}, {}, {}, (jpeg, instance("b", 2, 2, **said))
    )
    found = plan_image_set(metadata, "i", lambda _: True)
    assert [len(array.slices) for array in found.arrays] == [1, 1]


@pytest.mark.parametrize("column", ["1", "-1"])
def test_a_dose_grid_may_give_its_planes_by_patient_z(column):
    found = plan(
        instance("a", 1, 7, frames=3, GridFrameOffsetVector=["7", "9", "11"],
                 ImageOrientationPatient=["1", "0", "0", "0", column, "0"])
    )  # fmt: skip
    (array,) = found.arrays
    z = {s.frame_number: s.plane.position[2] for s in array.slices}
    assert z == {1: 7, 2: 9, 3: 11}
