import json
import logging
import os
import re
import resource
import signal
import threading

import numpy as np
import pytest

from isocenter.core.errors import IntegrityError, MalformedError
from isocenter.pipeline.definition import template
from isocenter.pipeline.exit_codes import TrainExit
from isocenter.pipeline.training.main import main
from isocenter.pipeline.training.model import load

# Each run compiles for about 3 s of processor time, much longer on a busy machine.
pytestmark = pytest.mark.timeout(240)

SMALL = {"steps": 50, "batch": 8, "patch": 24, "features": 8, "depth": 3, "seed": 1}


@pytest.fixture(autouse=True)
def keep_logging():
    """The process under test takes over the root logger; give it back."""
    root, ours = logging.getLogger(), logging.getLogger("isocenter")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def run(container):
    return main(["train", "--root", str(container.root)])


def test_noise_is_learnt_and_the_model_is_usable(container, make_phantom, capsys):
    container.fill(
        (make_phantom(4, 48, 48, seed=1), "train"),
        (make_phantom(2, 48, 48, seed=2), "validation"),
        (np.zeros((1, 48, 48), np.int16), "train"),
    ).hyperparameters(**SMALL)
    assert run(container) == 0
    made = container.description
    assert made["completed"] is True
    assert made["validation"] == "patients of the validation split"
    assert made["metrics"]["psnr_noisy_db"] == pytest.approx(20, abs=0.3)
    assert made["metrics"]["psnr_gain_db"] > 2
    assert made["dataset"]["trainingSlices"] == 4
    assert made["dataset"]["skipped"] == [
        {"path": f"{2:032d}/series.npy", "reason": "all values are the same"}
    ]
    assert not list((container.root / "model").glob(".*"))

    # What is logged is what SageMaker's MetricDefinitions find.
    messages = [json.loads(x)["message"] for x in capsys.readouterr().err.splitlines()]
    algorithm = template()["Steps"][1]["Arguments"]["AlgorithmSpecification"]
    found = {
        definition["Name"]: re.findall(definition["Regex"], "\n".join(messages))
        for definition in algorithm["MetricDefinitions"]
    }
    for name in ("psnr_noisy_db", "psnr_denoised_db", "psnr_gain_db"):
        (value,) = found[f"validation:{name}"]
        assert float(value) == pytest.approx(made["metrics"][name], abs=1e-3)
    assert float(found["train:loss"][-1]) == pytest.approx(
        made["metrics"]["train_loss"], abs=1e-6
    )

    # A volume the model has not seen, in Hounsfield units.
    model = load(container.root / "model")
    clean = make_phantom(2, 40, 56, seed=3).astype(np.float32)
    noisy = clean + np.random.default_rng(4).normal(0, 150, clean.shape)
    denoised = model.denoise(noisy.astype(np.int16))
    assert denoised.shape == clean.shape
    assert denoised.dtype == np.float32
    assert np.std(denoised - clean) < 0.8 * np.std(noisy - clean)
    np.testing.assert_allclose(model.denoise(noisy[0]).shape, clean[0].shape)
    with pytest.raises(MalformedError, match="shape"):
        model.denoise(np.zeros(5))
    flat = np.full((8, 8), 3, np.uint8)
    np.testing.assert_array_equal(model.denoise(flat), flat)

    # A tampered or missing file is not loaded.
    weights = container.root / "model/model.npz"
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        load(container.root / "model")
    weights.unlink()
    with pytest.raises(MalformedError):
        load(container.root / "model")


def test_same_seed_gives_the_same_model(tmp_path, container, make_phantom):
    quick = {"steps": 3, "batch": 2, "patch": 16, "features": 4, "depth": 2}
    container.fill(make_phantom(5, 24, 24)).hyperparameters(**quick)
    sums = []
    for _ in range(2):
        assert run(container) == 0
        sums.append(container.description["weightsSha256"])
    assert sums[0] == sums[1]
    assert container.description["validation"] == "held-out slices of training patients"


def test_corrupt_array_is_refused_with_a_reason(container, make_phantom):
    container.fill(make_phantom(2, 16, 16))
    path = container.path_of(0)
    body = bytearray(path.read_bytes())
    body[200] ^= 1
    path.write_bytes(body)
    assert run(container) == 1
    assert container.failure.startswith("IntegrityError: array 0000")
    assert not (container.root / "model/model.json").exists()


def test_bad_hyperparameter_is_refused_before_any_work(container):
    container.hyperparameters(learning_rat="0.1")
    assert run(container) == 1
    assert "learning_rat: unknown" in container.failure


def test_divergence_is_told(container, make_phantom):
    container.fill(make_phantom(2, 16, 16)).hyperparameters(
        **SMALL | {"learning_rate": 1, "depth": 6, "patch": 8, "batch": 1}
    )
    assert run(container) == 1
    assert "lower learning_rate" in container.failure


def test_unexpected_failure_leaves_a_reason(container, make_phantom):
    container.fill(make_phantom(2, 16, 16)).hyperparameters(
        **SMALL | {"steps": 1, "patch": 8}
    )
    (container.root / "model").write_text("a file where the folder should be")
    assert run(container) == 1
    assert container.failure.startswith("unexpected FileExistsError")


def test_sigterm_keeps_what_was_learnt(container, make_phantom):
    container.fill(make_phantom(2, 16, 16)).hyperparameters(
        **SMALL | {"steps": 100_000, "patch": 8, "batch": 1}
    )
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
    # A test that ends early must not be killed by its own alarm.
    timer.daemon = True
    timer.start()
    assert run(container) == TrainExit.TERMINATED
    timer.join()
    assert container.description["completed"] is False
    assert 0 < container.description["steps"] < 100_000
    assert signal.getsignal(signal.SIGTERM) is before


def test_as_many_files_may_be_open_as_the_machine_allows(container):
    """Each array is mapped by a file of its own, and there may be thousands."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert run(container) == 1
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
