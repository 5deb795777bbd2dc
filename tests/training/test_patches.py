import numpy as np
import pytest

from isocenter.pipeline.training.normalisation import Normalisation
from isocenter.pipeline.training.partition import Plane
from isocenter.pipeline.training.patches import draw
from isocenter.pipeline.training.volumes import Volume


def plane(values, top=0, bottom=None):
    volume = Volume(
        "a.npy",
        "train",
        values[None],
        1.0,
        0.0,
        Normalisation(0.0, float(values.max())),
    )
    return Plane(volume, 0, top, bottom or values.shape[0])


@pytest.mark.parametrize("shape", [(64, 64), (16, 16), (8, 40), (40, 8)])
def test_patches_have_one_shape_whatever_the_image(shape):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    patches = draw([plane(values)], np.random.default_rng(0), 5, 24)
    assert patches.shape == (5, 24, 24, 1)
    assert patches.dtype == np.float32


def test_patches_stay_within_their_rows():
    values = np.repeat(np.arange(64, dtype=np.float32), 64).reshape(64, 64)
    patches = draw([plane(values, top=48)], np.random.default_rng(0), 20, 8)
    assert patches.min() * 63 >= 48 - 1e-3


def test_structure_is_preferred_to_background():
    values = np.zeros((256, 256), np.float32)
    values[:, 192:] = np.random.default_rng(1).uniform(size=(256, 64))
    patches = draw([plane(values)], np.random.default_rng(0), 40, 16)
    share = np.mean([patch.std() > 0.02 for patch in patches])
    assert share > 0.5  # by chance alone it would be 0.28


def test_same_seed_same_patches():
    values = np.random.default_rng(1).uniform(size=(64, 64)).astype(np.float32)
    first, second = (
        draw([plane(values)], np.random.default_rng(3), 4, 16) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
