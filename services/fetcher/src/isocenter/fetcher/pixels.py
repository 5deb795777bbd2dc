"""The pixel description of an instance: what a decoded frame must look like. Pure.

Source: PS3.3 C.7.6.3 (Image Pixel module).
"""

from dataclasses import dataclass

from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.image_set import Attributes, number, text

_CONTAINERS = {1: 1, 8: 1, 16: 2, 32: 4}
"""Bytes of one decoded sample by BitsAllocated; single bits become bytes."""
_SAMPLES = frozenset({1, 3, 4})
_COLOUR = 3
_LONGEST_SIDE = 65_535
"""Rows and Columns are US (PS3.3 C.7.6.3.1): nothing larger can be meant."""

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


@dataclass(frozen=True)
class PixelFormat:
    """Shape and sample type of one frame.

    Attributes:
        rows, columns: pixels.
        samples: per pixel, 1, 3 or 4.
        bits_allocated: 1, 8, 16 or 32.
        bits_stored: used bits of a sample.
        signed: PixelRepresentation is 1.
        photometric: PhotometricInterpretation, "" where absent.
        planar: PlanarConfiguration is 1; matters for uncompressed frames only.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of one decoded sample."""
        return _CONTAINERS[self.bits_allocated]

    @property
    def dtype(self) -> str:
        """Numpy name of the decoded sample's type."""
        return f"{'' if self.signed else 'u'}int{8 * self.itemsize}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one decoded frame: rows, columns and, if not one, samples."""
        plane = (self.rows, self.columns)
        return plane if self.samples == 1 else (*plane, self.samples)

    @property
    def frame_bytes(self) -> int:
        """Size of one decoded frame; FrameSizeInBytes of the metadata is not that."""
        return self.rows * self.columns * self.samples * self.itemsize


@dataclass(frozen=True)
class Rescale:
    """Linear rescale to the modality's units (PS3.3 C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0


def read_pixel_format(dicom: Attributes) -> PixelFormat:
    """The pixel description among an instance's attributes.

    Raises:
        MalformedError: naming the attribute that is absent or out of range.
    """
    samples = _positive(dicom, "SamplesPerPixel")
    bits_allocated = _positive(dicom, "BitsAllocated")
    if samples not in _SAMPLES:
        raise MalformedError(f"SamplesPerPixel is {samples}, not 1, 3 or 4")
    if bits_allocated not in _CONTAINERS:
        raise MalformedError(f"BitsAllocated is {bits_allocated}, not 1, 8, 16 or 32")
    representation = number(dicom, "PixelRepresentation")
    if representation not in {0, 1}:
        raise MalformedError("PixelRepresentation is absent or neither 0 nor 1")
    stored = number(dicom, "BitsStored") or bits_allocated
    rows, columns = _positive(dicom, "Rows"), _positive(dicom, "Columns")
    if max(rows, columns) > _LONGEST_SIDE:
        raise MalformedError(f"Rows or Columns is over {_LONGEST_SIDE}")
    return PixelFormat(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits_allocated,
        bits_stored=min(int(stored), bits_allocated),
        signed=representation == 1,
        photometric=text(dicom, "PhotometricInterpretation") or "",
        planar=number(dicom, "PlanarConfiguration") == 1,
    )


def photometric(syntax: str, pixels: PixelFormat) -> str | None:
    """PhotometricInterpretation of the decoded samples.

    JPEG baseline colour decodes to RGB, and so does what a reversible or irreversible
    colour transform of JPEG 2000 coded (PS3.5 A.4.4).
    """
    colour = pixels.photometric
    if pixels.samples == _COLOUR and syntax == JPEG_BASELINE:
        return "RGB"
    return "RGB" if colour in {"YBR_RCT", "YBR_ICT"} else colour or None


def is_image(dicom: Attributes) -> bool:
    """The instance describes pixels, so it should have frames."""
    return number(dicom, "Rows") is not None and number(dicom, "Columns") is not None


def _positive(dicom: Attributes, keyword: str) -> int:
    value = number(dicom, keyword)
    if value is None or value < 1 or value != int(value):
        raise MalformedError(f"{keyword} is absent or not a positive whole number")
    return int(value)
