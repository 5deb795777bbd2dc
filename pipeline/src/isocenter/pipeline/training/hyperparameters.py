"""Hyperparameters: strings in hyperparameters.json, checked by name and range."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isocenter.core.errors import ConfigurationError


class Hyperparameters(BaseModel):
    """What one training run may vary.

    SageMaker hands every value over as a string (CreateTrainingJob,
    HyperParameters); numbers are read from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=200, ge=1, le=100_000, description="Adam steps.")
    batch: int = Field(default=16, ge=1, le=1024, description="Patches a step.")
    patch: int = Field(default=40, ge=8, le=512, description="Patch side in pixels.")
    features: int = Field(default=24, ge=1, le=512, description="Channels inside.")
    depth: int = Field(default=5, ge=2, le=50, description="Convolutions.")
    learning_rate: float = Field(
        default=0.002, gt=0, le=1, allow_inf_nan=False, description="At the start."
    )
    sigma: float = Field(
        default=0.1,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Standard deviation of the added noise; 1 is the value range.",
    )
    seed: int = Field(default=20200101, ge=0, lt=2**32, description="Of all chance.")


def read(path: Path) -> Hyperparameters:
    """Hyperparameters of ``path``; the defaults if there is no such file.

    Raises:
        ConfigurationError: naming each hyperparameter that is unknown or not usable.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Hyperparameters()
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path.name} is not a JSON object of strings")
    try:
        return Hyperparameters.model_validate(given)
    except ValidationError as error:
        known = ", ".join(Hyperparameters.model_fields)
        problems = "; ".join(
            f"{item['loc'][0]}: "
            + (
                f"unknown, known are {known}"
                if item["type"] == "extra_forbidden"
                else item["msg"]
            )
            for item in error.errors(include_input=False)
        )
        raise ConfigurationError(f"hyperparameters not usable: {problems}") from error
