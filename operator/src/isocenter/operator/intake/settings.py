"""Settings of the intake process, read from ``INTAKE_*``."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from isocenter.core.settings import ProcessSettings
from isocenter.operator.settings import BUCKET_PATTERN, PREFIX_PATTERN


class IntakeSettings(ProcessSettings):
    """What intake needs to know; AWS's own variables say the rest."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True, extra="forbid")

    queue_url: str = Field(
        pattern=r"^https?://\S+$",
        description="URL of the SQS queue that EventBridge delivers to.",
    )
    namespace: str = Field(
        min_length=1, description="Namespace that resources are made in."
    )
    bucket: str = Field(
        pattern=BUCKET_PATTERN,
        description="Bucket of the batches, import results and runs.",
    )
    batches_prefix: str = Field(
        default="batches/",
        pattern=PREFIX_PATTERN,
        description="Prefix of batch manifests, as the Store SCP writes them.",
    )
    import_output_prefix: str = Field(
        default="import-output/",
        pattern=PREFIX_PATTERN,
        description="Prefix HealthImaging writes the results of import jobs under.",
    )
    runs_prefix: str = Field(
        default="runs/",
        pattern=PREFIX_PATTERN,
        description=(
            "Prefix of runs, as the operator writes them: a run that has left "
            "anything there is not made again after it was deleted."
        ),
    )
    sweep_interval_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds between two sweeps for what no event has brought.",
    )
    sweep_window_s: float = Field(
        default=86_400.0,
        gt=0,
        description="How far back a sweep looks, seconds.",
    )
    visibility_s: int = Field(
        default=60,
        ge=10,
        le=43_200,
        description="Seconds a received message is hidden from other receivers.",
    )
    receive_wait_s: int = Field(
        default=10,
        ge=0,
        le=20,
        description="Seconds one ReceiveMessage waits for messages.",
    )
    max_backoff_s: int = Field(
        default=900,
        ge=1,
        le=43_200,
        description="Longest time a message is put back for, seconds.",
    )
    workers: int = Field(
        default=2, ge=1, le=32, description="Threads that receive messages."
    )
