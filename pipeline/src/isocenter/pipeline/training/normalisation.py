"""From a modality's units to the network's range and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOW_PERCENTILE = 1.0
HIGH_PERCENTILE = 99.0
_SAMPLED_SLICES = 16
_SAMPLED_PIXELS = 1 << 16

# ITU-R BT.601, which DICOM's YBR_FULL uses for luminance (PS3.3 C.7.6.3.1.2).
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Normalisation:
    """A linear map of [low, high] to [0, 1]."""

    low: float
    high: float

    def apply(
        self, values: NDArray[np.float32], *, margin: float = 0.0
    ) -> NDArray[np.float32]:
        """Values clipped to [-margin, 1 + margin]; what is not a number becomes 0."""
        scaled = (values - np.float32(self.low)) / np.float32(self.high - self.low)
        clipped: NDArray[np.float32] = np.clip(
            np.nan_to_num(scaled, nan=0.0), -margin, 1 + margin
        )
        return clipped


def luminance(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """[..., y, x, 3] colour as [..., y, x]; float32."""
    return pixels.astype(np.float32) @ _LUMINANCE


def robust(volume: NDArray[np.generic]) -> Normalisation | None:
    """The 1st to the 99th percentile of a volume; None if it has one value only.

    Computed over at most 16 evenly spaced slices and about 65,000 pixels of each,
    so that the time does not grow with the volume.

    Args:
        volume: [z, y, x], or [z, y, x, 3] in colour.
    """
    depth = volume.shape[0]
    chosen = np.unique(np.linspace(0, depth - 1, _SAMPLED_SLICES).round().astype(int))
    step = max(1, int(np.sqrt(volume.shape[1] * volume.shape[2] / _SAMPLED_PIXELS)))
    sample = np.stack([volume[z, ::step, ::step] for z in chosen])
    values = luminance(sample) if volume.ndim == 4 else sample.astype(np.float32)  # noqa: PLR2004 - zyxc has 4 axes
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
    if not low < high:
        # Nearly empty images, such as nuclear medicine: the percentiles coincide.
        low, high = values.min(), values.max()
    return Normalisation(float(low), float(high)) if low < high else None
