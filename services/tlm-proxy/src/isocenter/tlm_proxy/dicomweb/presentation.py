"""How an instance's pixels are to be shown, read from its attributes. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from isocenter.core.healthimaging.image_set import Attributes, number, numbers, text

_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})


class Presentation(NamedTuple):
    """What is needed to make a picture of a frame.

    Attributes:
        rows: 0 if there are no pixels.
        columns: as rows.
        samples: per pixel.
        bits_allocated: per sample, of an uncompressed frame.
        bits_stored: those of them that are a sample's value; 0 if not said.
        signed: samples are two's complement.
        planar: an uncompressed frame's samples come plane after plane.
        photometric: Photometric Interpretation.
        slope: of the modality's rescaling.
        intercept: the same.
        center: of the first VOI window; None without one that can be used.
        width: the same.
        function: VOI LUT Function.
        padding: Pixel Padding Value.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: bool
    photometric: str
    slope: float
    intercept: float
    center: float | None
    width: float | None
    function: str
    padding: float | None

    @property
    def monochrome(self) -> bool:
        """One sample a pixel, a shade of grey."""
        return self.photometric in _MONOCHROME


def presentation_of(dicom: Attributes) -> Presentation:
    """Read the Image Pixel, Modality LUT and VOI LUT modules (PS3.3 C.7.6.3, C.11).

    Enhanced images have rescaling and window in their functional groups: those
    shared by all frames, else the first frame's (C.7.6.16).
    """
    rescale = _where(dicom, "RescaleSlope", "PixelValueTransformationSequence")
    window = _where(dicom, "WindowWidth", "FrameVOILUTSequence")
    centers = numbers(window, "WindowCenter")
    widths = numbers(window, "WindowWidth")
    function = text(window, "VOILUTFunction") or "LINEAR"
    # A window is over the modality LUT's output (C.11.2): without that, no window.
    usable = centers and widths and not dicom.get("ModalityLUTSequence")
    slope = number(rescale, "RescaleSlope")
    return Presentation(
        rows=_whole(dicom, "Rows"),
        columns=_whole(dicom, "Columns"),
        samples=_whole(dicom, "SamplesPerPixel") or 1,
        bits_allocated=_whole(dicom, "BitsAllocated"),
        bits_stored=_whole(dicom, "BitsStored"),
        signed=number(dicom, "PixelRepresentation") == 1,
        planar=number(dicom, "PlanarConfiguration") == 1,
        photometric=text(dicom, "PhotometricInterpretation") or "",
        # 0 would make every picture flat: it can't be meant.
        slope=1.0 if slope is None or slope == 0 else slope,
        intercept=number(rescale, "RescaleIntercept") or 0.0,
        center=centers[0] if usable and centers else None,
        width=widths[0] if usable and widths else None,
        function=function,
        padding=number(dicom, "PixelPaddingValue"),
    )


def _where(dicom: Attributes, keyword: str, sequence: str) -> Attributes:
    """The attributes that hold ``keyword``: the instance's, or a functional group's."""
    if dicom.get(keyword) is not None:
        return dicom
    for groups in (
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    ):
        found = _first(_first(dicom.get(groups)).get(sequence))
        if found.get(keyword) is not None:
            return found
    return dicom


def _first(sequence: Any) -> Mapping[str, Any]:
    """The first item of a sequence, as HealthImaging writes it; empty if none."""
    if isinstance(sequence, list):
        sequence = sequence[0] if sequence else None
    return sequence if isinstance(sequence, Mapping) else {}


def _whole(dicom: Attributes, keyword: str) -> int:
    value = number(dicom, keyword)
    return int(value) if value is not None and value > 0 else 0
