"""What the training step leaves: model.npz (weights), then model.json (the rest).

model.json is written last and names the weights' SHA-256, so a model without it is
not complete.
"""

import hashlib
import io
import json
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from isocenter.core.errors import IntegrityError, MalformedError
from isocenter.pipeline.training.fit import Fitted
from isocenter.pipeline.training.hyperparameters import Hyperparameters
from isocenter.pipeline.training.network import KERNEL, Parameters
from isocenter.pipeline.training.normalisation import HIGH_PERCENTILE, LOW_PERCENTILE
from isocenter.pipeline.training.partition import Partition
from isocenter.pipeline.training.volumes import Dataset

WEIGHTS_NAME = "model.npz"
DESCRIPTION_NAME = "model.json"
_DISTRIBUTIONS = ("isocenter-pipeline", "jax", "jaxlib", "numpy", "optax")


def describe(
    fitted: Fitted, partition: Partition, dataset: Dataset, hyper: Hyperparameters
) -> dict[str, Any]:
    """The content of model.json, but for the weights' checksum."""
    metrics = asdict(fitted.metrics) | {"psnr_gain_db": fitted.metrics.psnr_gain_db}
    return {
        "schema": 1,
        "architecture": {
            "kind": "residual-cnn",
            "features": hyper.features,
            "depth": hyper.depth,
            "kernel": KERNEL,
        },
        "normalisation": {
            "method": "percentile",
            "low": LOW_PERCENTILE,
            "high": HIGH_PERCENTILE,
        },
        "hyperparameters": hyper.model_dump(),
        "completed": fitted.steps == hyper.steps,
        "steps": fitted.steps,
        "metrics": {"train_loss": fitted.loss, **metrics},
        "validation": partition.validation_source,
        "dataset": {
            "digest": dataset.manifest.digest,
            "datastoreId": dataset.manifest.datastore_id,
            "imageSets": len(dataset.manifest.image_sets),
            "arrays": len(dataset.volumes),
            "trainingSlices": len(partition.train),
            "validationSlices": len(partition.validation),
            "omissions": len(dataset.manifest.omissions),
            "skipped": [
                {"path": path, "reason": reason} for path, reason in dataset.skipped
            ],
        },
        "versions": {name: version(name) for name in _DISTRIBUTIONS},
    }


def write(folder: Path, parameters: Parameters, description: dict[str, Any]) -> None:
    """Put both files into ``folder``."""
    buffer = io.BytesIO()
    arrays = {
        f"{kind}_{layer}": np.asarray(values)
        for layer, convolution in enumerate(parameters)
        for kind, values in convolution.items()
    }
    np.savez(buffer, allow_pickle=False, **arrays)
    weights = buffer.getvalue()
    sha256 = hashlib.sha256(weights).hexdigest()
    body = json.dumps({**description, "weightsSha256": sha256}, indent=1)
    _replace(folder / WEIGHTS_NAME, weights)
    _replace(folder / DESCRIPTION_NAME, body.encode())


def read(folder: Path) -> tuple[Parameters, dict[str, Any]]:
    """Weights and description of a model that ``write`` made.

    Raises:
        MalformedError: a file is missing or not a model of schema 1.
        IntegrityError: the weights are not those of the description.
    """
    try:
        description = json.loads((folder / DESCRIPTION_NAME).read_bytes())
        weights = (folder / WEIGHTS_NAME).read_bytes()
        if description["schema"] != 1:
            raise MalformedError(f"{folder} holds a model of an unknown schema")
        if hashlib.sha256(weights).hexdigest() != description["weightsSha256"]:
            raise IntegrityError(f"{folder / WEIGHTS_NAME} is not what was trained")
        with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
            parameters = [
                {kind: arrays[f"{kind}_{layer}"] for kind in ("weights", "bias")}
                for layer in range(description["architecture"]["depth"])
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MalformedError(f"{folder} holds no model: {error!r}") from error
    return parameters, description


def _replace(path: Path, body: bytes) -> None:
    """Write whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
