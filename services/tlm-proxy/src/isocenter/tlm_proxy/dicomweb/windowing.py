"""Stored values to shades of grey: modality LUT, VOI window, polarity. Pure numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.tlm_proxy.dicomweb.presentation import Presentation

Pixels = NDArray[Any]


def windowed(samples: Pixels, shown: Presentation) -> NDArray[np.uint8]:
    """Shades of grey: the VOI window (PS3.3 C.11.2), else percentiles 1 to 99."""
    values = samples.astype(np.float32) * shown.slope + shown.intercept
    grey = _voi(values, shown)
    if grey is None:
        grey = _stretched(values, samples, shown)
    if shown.photometric == "MONOCHROME1":
        grey = 1.0 - grey
    return np.asarray(np.rint(grey * 255), np.uint8)


def _voi(values: Pixels, shown: Presentation) -> Pixels | None:
    center, width = shown.center, shown.width
    if center is None or width is None:
        return None
    if shown.function == "SIGMOID" and width > 0:
        power = np.clip(-4 * (values - center) / width, -80, 80)
        return np.asarray(1 / (1 + np.exp(power)))
    if shown.function == "LINEAR_EXACT" and width > 0:
        return np.asarray(np.clip((values - center) / width + 0.5, 0, 1))
    if width < 1:
        return None
    if width == 1:
        return np.asarray(values > center - 0.5, np.float32)
    return np.asarray(np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1))


def _stretched(values: Pixels, samples: Pixels, shown: Presentation) -> Pixels:
    there = values if shown.padding is None else values[samples != shown.padding]
    if not there.size:
        return np.zeros_like(values)
    low, high = np.percentile(there, (1, 99))
    if high <= low:
        low, high = float(there.min()), float(there.max())
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1))
