"""Settings of the fetcher: command line and service alike, prefix ``FETCHER_``."""

import math
import tempfile
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from isocenter.core.settings import ProcessSettings

DEFAULT_SPLIT_SALT = "isocenter"
"""Public: splits are reproducible, patient keys can be recomputed from patient ids."""


class FetcherSettings(ProcessSettings):
    """What a fetch, and the service around it, may use and how it splits."""

    model_config = SettingsConfigDict(
        env_prefix="FETCHER_", frozen=True, extra="forbid"
    )

    workers: int = Field(
        default=16, ge=1, le=256, description="Frames that are fetched at a time."
    )
    image_sets_in_flight: int = Field(
        default=4, ge=1, le=64, description="Image sets that are worked on at a time."
    )
    decode_processes: int = Field(
        default=0,
        ge=0,
        le=128,
        description="Processes that decode: 0 is one for each CPU, 1 decodes in the "
        "fetcher's own process. The codec holds Python's lock, so threads don't help.",
    )
    memory_mib: int = Field(
        default=512,
        ge=16,
        description="MiB of frames held in memory at a time, stored and decoded; one "
        "frame larger than that is taken alone.",
    )
    frame_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Times a frame is read before it is given up: a wrong checksum, "
        "a body that does not decode, no answer.",
    )
    lock_wait_seconds: float = Field(
        default=300.0,
        ge=0,
        description="Longest wait for an image set that is not ACTIVE yet.",
    )
    split_ratios: tuple[float, float, float] = Field(
        default=(0.8, 0.1, 0.1),
        description="Shares of patients for train, validation and test; sum 1.",
    )
    split_salt: SecretStr = Field(
        default=SecretStr(DEFAULT_SPLIT_SALT),
        min_length=1,
        description="Key of the patient hash. The same key gives the same splits in "
        "every dataset; the default is public, so set one of your own.",
    )
    progress_seconds: float = Field(
        default=5.0, gt=0, description="Least time between two lines of progress."
    )
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="Port of the service's HTTP API."
    )
    bucket: str | None = Field(
        default=None, description="Bucket of the service's job records."
    )
    jobs_prefix: str = Field(
        default="fetcher/jobs/", description="Key prefix of the service's job records."
    )
    concurrent_jobs: int = Field(
        default=2, ge=1, le=32, description="Jobs that run at a time; the rest queue."
    )
    max_queued_jobs: int = Field(
        default=1000, ge=1, description="Waiting jobs beyond which a new one gets 429."
    )
    work_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "isocenter-fetcher",
        description="Directory where the service builds datasets before the upload.",
    )

    @field_validator("split_ratios")
    @classmethod
    def _shares(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) < 0 or not math.isclose(sum(value), 1.0, abs_tol=1e-6):
            raise ValueError("three shares of at least 0 that add up to 1 are needed")
        return value

    @field_validator("jobs_prefix")
    @classmethod
    def _folder(cls, value: str) -> str:
        return value.strip("/") + "/" if value.strip("/") else ""
