import json

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.pipeline.training.hyperparameters import Hyperparameters, read


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "hyperparameters.json"
        path.write_text(text)
        return path

    return write


def test_no_file_means_the_defaults(tmp_path):
    assert read(tmp_path / "hyperparameters.json") == Hyperparameters()


def test_numbers_are_read_from_strings(written):
    hyper = read(written(json.dumps({"steps": "7", "learning_rate": "1e-3"})))
    assert (hyper.steps, hyper.learning_rate) == (7, 0.001)
    assert hyper.sigma == Hyperparameters().sigma


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"epochs": "3"}, "epochs: unknown, known are steps, batch,"),
        ({"steps": "many"}, "steps: "),
        ({"steps": "0"}, "steps: "),
        ({"learning_rate": "nan"}, "learning_rate: "),
        ({"sigma": "-1"}, "sigma: "),
        ({"patch": "4", "depth": "1"}, "depth: "),
    ],
)
def test_unusable_ones_are_named(written, given, named):
    with pytest.raises(ConfigurationError, match=named):
        read(written(json.dumps(given)))


@pytest.mark.parametrize("text", ["{", "[]", '"steps"'])
def test_what_is_not_an_object_is_refused(written, text):
    with pytest.raises(ConfigurationError, match=r"hyperparameters\.json is not"):
        read(written(text))
