import threading

import numpy as np
import pytest

from isocenter.core.errors import IntegrityError, MalformedError
from isocenter.pipeline.training.errors import DatasetUnusableError, StoppedError
from isocenter.pipeline.training.volumes import load

WHOLE = slice(None)


def load_of(container):
    return load(container.dataset, threading.Event())


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "int32", "float32"])
def test_values_come_out_between_0_and_1(container, make_phantom, dtype):
    values = (make_phantom(2, 16, 20).astype(np.int32) + 900).clip(0, 255).astype(dtype)
    container.fill(values)
    (volume,) = load_of(container).volumes
    plane = volume.crop(1, WHOLE, WHOLE)
    assert plane.dtype == np.float32
    assert plane.shape == (16, 20)
    assert plane.min() == 0
    assert plane.max() == 1


def test_rescale_is_applied(container, make_phantom):
    values = make_phantom(2, 16, 16)
    plain, inverted = {}, {"rescale_slope": -2.0, "rescale_intercept": 10.0}
    container.fill((values, "train", plain), (values, "train", inverted))
    first, second = load_of(container).volumes
    assert second.normalisation.low == pytest.approx(
        -2 * first.normalisation.high + 10, rel=1e-5
    )
    np.testing.assert_allclose(
        first.crop(0, WHOLE, WHOLE), 1 - second.crop(0, WHOLE, WHOLE), atol=1e-5
    )


def test_colour_becomes_luminance(container):
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, :, :4, 1] = 200
    container.fill(pixels)
    (volume,) = load_of(container).volumes
    plane = volume.crop(0, WHOLE, WHOLE)
    assert plane.shape == (8, 8)
    assert (plane[:, :4] == 1).all()
    assert (plane[:, 4:] == 0).all()
    assert volume.normalisation.high == pytest.approx(0.587 * 200)


def test_outliers_do_not_set_the_range(container, make_phantom):
    values = make_phantom(1, 64, 64)
    values[0, 0, 0] = 32767
    container.fill(values)
    (volume,) = load_of(container).volumes
    assert volume.normalisation.high < 1000


def test_what_is_not_a_number_becomes_0(container):
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16).copy()
    values[0, 8, 8] = np.nan
    container.fill(values)
    (volume,) = load_of(container).volumes
    plane = volume.crop(0, WHOLE, WHOLE)
    assert plane[8, 8] == 0
    assert np.isfinite(plane).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((1, 16, 16), np.int16), "all values are the same"),
        (np.eye(7, dtype=np.int16)[None], "smaller than 8 x 8 pixels"),
        (np.arange(1024, dtype=np.uint8).reshape(1, 16, 16, 4), "4 colour samples"),
        (np.ones((1, 16, 16), bool), "values of type bool"),
        (np.full((1, 16, 16), np.nan, np.float32), "all values are the same"),
    ],
)
def test_unusable_arrays_are_skipped_by_name(container, make_phantom, values, reason):
    container.fill(make_phantom(1, 16, 16), values)
    dataset = load_of(container)
    assert [volume.path for volume in dataset.volumes] == [f"{0:032d}/series.npy"]
    ((path, said),) = dataset.skipped
    assert path == f"{1:032d}/series.npy"
    assert said.startswith(reason)


def test_nothing_left_says_why(container):
    container.fill(np.zeros((1, 16, 16)), omissions=["NoFrames", "NoFrames"])
    with pytest.raises(DatasetUnusableError) as caught:
        load_of(container)
    assert "2 x NoFrames" in str(caught.value)
    assert "1 x all values are the same" in str(caught.value)


def test_flipped_bit_is_refused(container, make_phantom):
    container.fill(make_phantom(1, 16, 16))
    path = container.path_of(0)
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)
    with pytest.raises(IntegrityError, match=r"series\.npy has SHA-256"):
        load_of(container)


def test_cut_array_is_refused(container, make_phantom):
    container.fill(make_phantom(1, 16, 16))
    path = container.path_of(0)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(IntegrityError, match=r"series\.npy has 638 bytes"):
        load_of(container)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "../outside.npy"}, "outside the dataset"),
        ({"path": "/etc/hostname"}, "outside the dataset"),
        ({"path": "gone.npy"}, r"gone\.npy of the manifest is missing"),
        ({"shape": (1, 8, 32)}, "the manifest says int16"),
        ({"dtype": "uint16"}, "the manifest says uint16"),
        ({"dtype": "nonsense"}, "is not readable"),
        ({"axes": "zyxc"}, "along zyxc"),
    ],
)
def test_manifest_that_does_not_fit_is_refused(container, make_phantom, changes, said):
    container.fill((make_phantom(1, 16, 16), "train", changes))
    with pytest.raises(MalformedError, match=said):
        load_of(container)


def test_pickled_objects_are_never_loaded(container):
    values = np.array([[[{}]]], dtype=object)
    container.fill((values, "train", {"dtype": "object"}))
    with pytest.raises(MalformedError, match="is not readable"):
        load_of(container)


def test_dataset_without_manifest_is_not_complete(tmp_path):
    with pytest.raises(MalformedError, match="did not complete"):
        load(tmp_path, threading.Event())


def test_sigterm_ends_the_verification(container, make_phantom):
    container.fill(make_phantom(1, 16, 16))
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        load(container.dataset, stop)
