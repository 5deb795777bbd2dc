"""The network: a small residual denoiser of convolutions.

Follows the idea of DnCNN (Zhang et al., IEEE TIP 2017, "Beyond a Gaussian
Denoiser"): the network estimates the noise, and the image is what remains. Without
batch normalisation, which a few hundred steps do not need.
"""

from itertools import pairwise
from typing import Any

import jax
import numpy as np

KERNEL = 3
Parameters = list[dict[str, Any]]
"""One {"weights": [3, 3, in, out], "bias": [out]} for each convolution."""


def initial(seed: int, *, features: int, depth: int) -> Parameters:
    """He-initialised convolutions; the last is zero: at first no noise is seen."""
    rng = np.random.default_rng([seed, 0])
    channels = [1, *[features] * (depth - 1), 1]
    parameters = []
    for layer, (inside, outside) in enumerate(pairwise(channels)):
        scale = 0.0 if layer == depth - 1 else (2 / (KERNEL * KERNEL * inside)) ** 0.5
        weights = rng.standard_normal((KERNEL, KERNEL, inside, outside), np.float32)
        parameters.append(
            {
                "weights": weights * np.float32(scale),
                "bias": np.zeros(outside, np.float32),
            }
        )
    return parameters


def estimated_noise(parameters: Parameters, noisy: Any) -> Any:
    """The noise in [n, y, x, 1] images, of the same shape."""
    values = noisy
    for layer, convolution in enumerate(parameters):
        values = jax.lax.conv_general_dilated(
            values,
            convolution["weights"],
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        values = values + convolution["bias"]
        if layer < len(parameters) - 1:
            values = jax.nn.relu(values)
    return values
