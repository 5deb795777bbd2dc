"""Use of a trained model: ``load("model/").denoise(array)``."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import MalformedError
from isocenter.pipeline.training import artifact
from isocenter.pipeline.training.network import Parameters, estimated_noise
from isocenter.pipeline.training.normalisation import robust

_VOLUME_AXES = 3
_MARGIN = 0.5
"""Noise goes beyond the range, in training too: it is not to be clipped away."""


class Denoiser:
    """A trained network with the normalisation it was trained under."""

    def __init__(self, parameters: Parameters, description: dict[str, Any]) -> None:
        self.description = description
        self._parameters = parameters
        self._estimate = jax.jit(estimated_noise)

    def denoise(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """``image`` without the noise that the network sees in it.

        Values far outside the 1st to the 99th percentile, such as metal, are left as
        they are but for the noise that is seen at the end of the range.

        Args:
            image: [y, x] or [z, y, x], grey, in any linear unit.

        Returns:
            float32 of the same shape, in the unit of ``image``.

        Raises:
            MalformedError: ``image`` has other axes.
        """
        volume = image[None] if image.ndim == _VOLUME_AXES - 1 else image
        if volume.ndim != _VOLUME_AXES or 0 in volume.shape:
            raise MalformedError(f"not [y, x] or [z, y, x]: shape {image.shape}")
        values = volume.astype(np.float32)
        found = robust(volume)
        if found is None:
            return values.reshape(image.shape)
        noise = np.concatenate(
            [
                np.asarray(self._estimate(self._parameters, plane[None, ..., None]))
                for plane in found.apply(values, margin=_MARGIN)
            ]
        )[..., 0]
        result = values - noise * np.float32(found.high - found.low)
        return result.astype(np.float32).reshape(image.shape)


def load(folder: Path | str) -> Denoiser:
    """The model in ``folder``: the content of the training job's model.tar.gz.

    Raises:
        MalformedError: ``folder`` holds no model of schema 1.
        IntegrityError: the weights are not those of the description.
    """
    return Denoiser(*artifact.read(Path(folder)))
