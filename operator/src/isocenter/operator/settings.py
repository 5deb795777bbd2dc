"""Settings of the operator process, read from ``OPERATOR_*``."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from isocenter.core.settings import ProcessSettings

BUCKET_PATTERN = r"^[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9]$"
PREFIX_PATTERN = r"^([^/]+/)+$"
ROLE_PATTERN = r"^arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+$"


class OperatorSettings(ProcessSettings):
    """What the operator needs to know; AWS's own variables say the rest."""

    model_config = SettingsConfigDict(
        env_prefix="OPERATOR_", frozen=True, extra="forbid"
    )

    namespace: str = Field(
        min_length=1, description="Namespace whose custom resources are served."
    )
    bucket: str = Field(
        pattern=BUCKET_PATTERN,
        description="Bucket that run requests are written to.",
    )
    runs_prefix: str = Field(
        default="runs/",
        pattern=PREFIX_PATTERN,
        description="Prefix of run requests, datasets and models in the bucket.",
    )
    import_role_arn: str | None = Field(
        default=None,
        pattern=ROLE_PATTERN,
        description=(
            "Data access role of import jobs whose DICOMImportJob names none."
        ),
    )
    poll_interval_s: float = Field(
        default=15.0,
        gt=0,
        description="Seconds between two looks at what is not finished.",
    )
    max_backoff_s: float = Field(
        default=300.0,
        gt=0,
        description="Longest time between two tries of what keeps failing, seconds.",
    )
    workers: int = Field(
        default=8, ge=1, le=64, description="Resources that are looked at in parallel."
    )
    image_set_checks: int = Field(
        default=25,
        ge=0,
        le=5_000,
        description=(
            "Runs with at most so many image sets have each confirmed by "
            "GetImageSet before they start; the fetcher confirms all in any case."
        ),
    )
    import_output_wait_s: float = Field(
        default=600.0,
        ge=0,
        description=(
            "Seconds to wait for the output manifest of a completed import job."
        ),
    )
    watch_timeout_s: int = Field(
        default=300,
        ge=10,
        description="Seconds after which a watch is opened anew.",
    )
