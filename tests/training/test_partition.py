import numpy as np
import pytest

from isocenter.pipeline.training.errors import DatasetUnusableError
from isocenter.pipeline.training.normalisation import Normalisation
from isocenter.pipeline.training.partition import divide
from isocenter.pipeline.training.volumes import Volume


def volume(split, depth=1, height=16):
    stored = np.zeros((depth, height, 16), np.int16)
    return Volume(f"{split}.npy", split, stored, 1.0, 0.0, Normalisation(0.0, 1.0))


@pytest.mark.parametrize(
    ("volumes", "train", "validation", "source"),
    [
        (
            [("train", 9), ("validation", 3), ("test", 2)],
            9,
            3,
            "patients of the validation split",
        ),
        ([("train", 10)], 8, 2, "held-out slices of training patients"),
        ([("train", 2), ("test", 5)], 1, 1, "held-out slices of training patients"),
        ([("validation", 4)], 3, 1, "held-out slices of training patients"),
        ([("test", 7)], 6, 1, "held-out slices of test patients"),
    ],
)
def test_slices_are_divided(volumes, train, validation, source):
    made = divide([volume(split, depth) for split, depth in volumes])
    assert (len(made.train), len(made.validation)) == (train, validation)
    assert made.validation_source == source
    assert not set(map(id, made.train)) & set(map(id, made.validation))


def test_single_slice_is_divided_by_rows():
    made = divide([volume("train", 1, height=100)])
    ((train,), (validation,)) = made.train, made.validation
    assert (train.top, train.bottom) == (0, 75)
    assert (validation.top, validation.bottom) == (75, 100)
    assert made.validation_source.startswith("held-out rows of the only slice")


def test_single_low_slice_is_refused():
    with pytest.raises(DatasetUnusableError, match="has 15 rows; at least 16"):
        divide([volume("train", 1, height=15)])
