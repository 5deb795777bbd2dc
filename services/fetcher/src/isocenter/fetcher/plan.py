"""From an image set's metadata to the arrays of its dataset. Pure.

One array holds slices of one series that have equal pixels, orientation and pixel
spacing, ordered along the slice normal. Where slices lie at the same place more than
once (time points, echoes, b-values) each pass becomes an array of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from isocenter.core.dataset import Omission, OmissionReason
from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.image_set import (
    Attributes,
    Frame,
    ImageSetMetadata,
    Instance,
    number,
    numbers,
    text,
)
from isocenter.fetcher.functional_groups import frame_attributes
from isocenter.fetcher.pixels import (
    PixelFormat,
    Rescale,
    is_image,
    photometric,
    read_pixel_format,
)
from isocenter.fetcher.volume import (
    Geometry,
    Plane,
    Vector,
    depth,
    geometry,
    is_parallel,
    read_orientation,
)

REPEATS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "EchoNumbers",
    "EffectiveEchoTime",
    "EchoTime",
    "DiffusionBValue",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "AcquisitionNumber",
    "ImageType",
    "FrameType",
    "AcquisitionTime",
)
"""What may tell slices at one place apart, in the order in which it is tried."""


@dataclass(frozen=True)
class Slice:
    """One frame: what to fetch, what it decodes to, where it lies."""

    frame: Frame
    sop_instance_uid: str
    frame_number: int
    instance_number: float
    syntax: str
    pixels: PixelFormat
    plane: Plane
    rescale: Rescale
    own_stack: str
    marks: Mapping[str, str]

    @property
    def order(self) -> tuple[float, str, int]:
        """Position in the series by number, where place does not decide."""
        return (self.instance_number, self.sop_instance_uid, self.frame_number)


@dataclass(frozen=True)
class ArrayPlan:
    """One array: its slices in order.

    Attributes:
        path: relative to the dataset, with /.
        rescale: of every slice, or None where slices differ and it is applied.
    """

    path: str
    series_instance_uid: str
    slices: tuple[Slice, ...]

    @property
    def pixels(self) -> PixelFormat:
        """What every slice decodes to."""
        return self.slices[0].pixels

    @property
    def rescale(self) -> Rescale | None:
        """The slices' common rescale; None where they differ."""
        first = self.slices[0].rescale
        return first if all(s.rescale == first for s in self.slices) else None

    @property
    def dtype(self) -> str:
        """Numpy name: the stored type, or a float that holds applied rescales."""
        if self.rescale is not None:
            return self.pixels.dtype
        return "float32" if self.pixels.itemsize <= 2 else "float64"  # noqa: PLR2004 - bytes that float32's 24 bits hold

    @property
    def geometry(self) -> Geometry:
        """Spacing, origin and direction of the slices."""
        return geometry([s.plane for s in self.slices])

    def without(self, indices: frozenset[int]) -> "ArrayPlan":
        """The same array with some slices left out."""
        kept = tuple(s for i, s in enumerate(self.slices) if i not in indices)
        return ArrayPlan(self.path, self.series_instance_uid, kept)


@dataclass(frozen=True)
class ImageSetPlan:
    """What to fetch of one image set, and what can't be."""

    arrays: tuple[ArrayPlan, ...]
    omissions: tuple[Omission, ...]

    @property
    def frames(self) -> int:
        """How many frames will be fetched."""
        return sum(len(array.slices) for array in self.arrays)


def plan_image_set(
    metadata: ImageSetMetadata, image_set_id: str, decodable: Callable[[str], bool]
) -> ImageSetPlan:
    """Arrays and omissions of an image set.

    Args:
        metadata: the image set's, of one version.
        image_set_id: as asked for; the arrays' directory.
        decodable: whether frames of a transfer syntax can be decoded.
    """
    omissions: list[Omission] = []
    series: dict[str, list[Slice]] = {}
    for instance in metadata.instances:
        slices = series.setdefault(instance.series_instance_uid, [])
        problem = _problem(instance, decodable)
        if problem is None:
            try:
                slices.extend(_slices(instance))
                continue
            except MalformedError as error:
                problem = (OmissionReason.METADATA_MALFORMED, str(error))
        reason, message = problem
        omissions.append(
            Omission(
                image_set_id=image_set_id,
                sop_instance_uid=instance.sop_instance_uid,
                reason=reason,
                message=f"instance {instance.sop_instance_uid}: {message}",
            )
        )
    if not metadata.instances:
        omissions.append(
            Omission(
                image_set_id=image_set_id,
                reason=OmissionReason.NO_FRAMES,
                message="the image set has no instance",
            )
        )
    arrays = tuple(
        ArrayPlan(f"{image_set_id}/{series_no:03d}-{array_no:03d}.npy", uid, slices)
        for series_no, uid in enumerate(series, start=1)
        for array_no, slices in enumerate(stacks(series[uid]), start=1)
    )
    return ImageSetPlan(arrays, tuple(omissions))


def stacks(slices: Iterable[Slice]) -> list[tuple[Slice, ...]]:
    """Slices of one series as stacks, each in order; stacks by instance number."""
    groups: dict[Hashable, list[list[Slice]]] = defaultdict(list)
    for item in slices:
        alike = groups[_key(item)]
        for group in alike:
            if is_parallel(group[0].plane.orientation, item.plane.orientation):
                group.append(item)
                break
        else:
            alike.append([item])
    found = [
        tuple(sorted(stack, key=_place))
        for alike in groups.values()
        for group in alike
        for stack in _passes(group)
    ]
    return sorted(found, key=lambda stack: min(item.order for item in stack))


def _problem(
    instance: Instance, decodable: Callable[[str], bool]
) -> tuple[OmissionReason, str] | None:
    syntax = instance.stored_transfer_syntax
    if not instance.frames:
        if is_image(instance.dicom):
            return (
                OmissionReason.METADATA_MALFORMED,
                "it is an image without frames; see its import job's warnings",
            )
        return OmissionReason.NO_FRAMES, "it has no frames, it is no image"
    if not decodable(syntax):
        return (
            OmissionReason.TRANSFER_SYNTAX_NOT_DECODABLE,
            f"frames of transfer syntax {syntax} can't be decoded",
        )
    declared = number(instance.dicom, "NumberOfFrames")
    if declared is not None and declared != len(instance.frames):
        words = f"NumberOfFrames is {declared:g}, there are {len(instance.frames)}"
        return OmissionReason.METADATA_MALFORMED, words
    return None


def _slices(instance: Instance) -> Iterator[Slice]:
    pixels = read_pixel_format(instance.dicom)
    frames = instance.frames
    several = len(frames) > 1
    # A multi-frame instance is a stack of its own, or a part of its concatenation.
    own_stack = (
        text(instance.dicom, "ConcatenationUID") or instance.sop_instance_uid
        if several
        else ""
    )
    attributes = frame_attributes(instance.dicom, len(frames))
    for index, (frame, dicom) in enumerate(zip(frames, attributes, strict=True)):
        yield Slice(
            frame=frame,
            sop_instance_uid=instance.sop_instance_uid,
            frame_number=index + 1,
            instance_number=number(instance.dicom, "InstanceNumber") or 0.0,
            syntax=instance.stored_transfer_syntax,
            pixels=pixels,
            plane=_plane(dicom),
            rescale=_rescale(dicom),
            own_stack=own_stack + (text(dicom, "ReferencedSegmentNumber") or ""),
            marks={word: str(dicom[word]) for word in REPEATS if dicom.get(word)},
        )


def _plane(dicom: Attributes) -> Plane:
    spacing = numbers(dicom, "PixelSpacing")
    usable = spacing is not None and len(spacing) == len("yx") and min(spacing) > 0
    between = number(dicom, "SpacingBetweenSlices") or number(dicom, "SliceThickness")
    return Plane(
        orientation=read_orientation(numbers(dicom, "ImageOrientationPatient")),
        position=_vector(numbers(dicom, "ImagePositionPatient")),
        pixel_spacing=(spacing[0], spacing[1]) if spacing and usable else None,
        slice_spacing=abs(between) if between else None,
    )


def _vector(values: tuple[float, ...] | None) -> Vector | None:
    if values is None or len(values) != len("xyz"):
        return None
    return (values[0], values[1], values[2])


def _rescale(dicom: Attributes) -> Rescale:
    dose = number(dicom, "DoseGridScaling")
    if dose is not None:
        return Rescale(slope=dose)
    slope = number(dicom, "RescaleSlope")
    for word in ("DoseGridScaling", "RescaleSlope", "RescaleIntercept"):
        if number(dicom, word) is None and text(dicom, word) is not None:
            # Not to be taken for "no rescale": the values would be of another unit.
            raise MalformedError(f"{word} is not a number")
    return Rescale(
        # A slope of 0 would make every value the same: it is no rescale.
        slope=slope or 1.0,
        intercept=(number(dicom, "RescaleIntercept") or 0.0) if slope else 0.0,
    )


def _key(item: Slice) -> Hashable:
    plane = item.plane
    return (
        item.own_stack,
        item.pixels,
        # JPEG baseline turns into RGB what other syntaxes leave as it is.
        photometric(item.syntax, item.pixels),
        plane.position is not None,
        plane.pixel_spacing and tuple(round(s, 4) for s in plane.pixel_spacing),
    )


def _place(item: Slice) -> tuple[float, tuple[float, str, int]]:
    return (depth(item.plane) or 0.0, item.order)


def _passes(group: Sequence[Slice]) -> list[list[Slice]]:
    """Slices of one kind, split so that no place occurs twice, if that can be done."""
    if not _repeats(group) or depth(group[0].plane) is None:
        return [list(group)]
    for word in REPEATS:
        by_mark: dict[str, list[Slice]] = defaultdict(list)
        for item in group:
            by_mark[item.marks.get(word, "")].append(item)
        if len(by_mark) > 1 and not any(_repeats(part) for part in by_mark.values()):
            return list(by_mark.values())
    return _by_turn(group)


def _by_turn(group: Sequence[Slice]) -> list[list[Slice]]:
    """The n-th slice of every place together, if all places have as many."""
    by_place: dict[float | None, list[Slice]] = defaultdict(list)
    for item in sorted(group, key=lambda item: item.order):
        by_place[depth(item.plane)].append(item)
    if len({len(items) for items in by_place.values()}) > 1:
        return [list(group)]
    return [list(turn) for turn in zip(*by_place.values(), strict=True)]


def _repeats(group: Sequence[Slice]) -> bool:
    return len({depth(item.plane) for item in group}) < len(group)
