"""Settings of devcloud: environment variables with the prefix `DEVCLOUD_`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65_535)]
Resources = dict[str, dict[str, str]]

_SMALL: Resources = {"requests": {"cpu": "100m", "memory": "256Mi"}}
_TINY: Resources = {"requests": {"cpu": "10m", "memory": "64Mi"}}


class Settings(BaseSettings):
    """One frozen object, read once in main; a wrong value stops the start."""

    model_config = SettingsConfigDict(
        env_prefix="DEVCLOUD_", frozen=True, extra="forbid"
    )

    host: str = Field("127.0.0.1", description="Address the three servers listen on.")
    aws_port: Port = Field(5000, description="S3, SQS, EventBridge, Cognito, IAM, STS.")
    healthimaging_port: Port = Field(5001, description="HealthImaging.")
    sagemaker_port: Port = Field(5002, description="SageMaker and /_devcloud/health.")
    region: str = Field("us-east-1", description="The one region of this cloud.")
    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")] = Field(
        "123456789012", description="The one account of this cloud."
    )
    data_dir: Path = Field(
        Path("devcloud-data"), description="Where HealthImaging keeps its files."
    )
    seed_file: Path | None = Field(
        None, description="YAML list of {service, operation, parameters} made at start."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )
    executor: Literal["kubernetes", "manual"] = Field(
        "manual",
        description="`kubernetes` runs each step as a Job, `manual` waits for a "
        "control call under /_devcloud/sagemaker/.",
    )
    tick_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        1.0, description="Seconds between two looks at the running executions."
    )
    event_copies: Annotated[int, Field(ge=1, le=10)] = Field(
        1, description="How often each SageMaker event is sent: AWS may repeat them."
    )
    namespace: str = Field("default", description="Namespace of the steps' Jobs.")
    instance: str = Field(
        "devcloud",
        description="Label by which this devcloud knows its Jobs; unique in the "
        "namespace.",
    )
    public_url: str = Field(
        "http://devcloud",
        description="How step pods reach this devcloud: scheme and host, no port.",
    )
    image: str = Field(
        "isocenter/devcloud", description="This image, for moving inputs and outputs."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="Pull policy of all containers of a step's pod."
    )
    step_service_account: str = Field(
        "default", description="Service account of the steps' pods."
    )
    step_resources: Resources = Field(
        _SMALL,
        description="Requests and limits of a step's container, whatever its "
        "InstanceType.",
    )
    moving_resources: Resources = Field(
        _TINY, description="Requests and limits of the inputs and outputs containers."
    )
    job_ttl_seconds: Annotated[int, Field(ge=0)] = Field(
        3600, description="How long a finished Job and its pod are kept."
    )

    def endpoints(self) -> dict[str, str]:
        """AWS's own variables that lead a container to this cloud."""
        base = self.public_url.rstrip("/")
        return {
            "AWS_ACCESS_KEY_ID": "devcloud",
            "AWS_SECRET_ACCESS_KEY": "devcloud",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"{base}:{self.aws_port}",
            "AWS_ENDPOINT_URL_MEDICAL_IMAGING": f"{base}:{self.healthimaging_port}",
            "AWS_ENDPOINT_URL_SAGEMAKER": f"{base}:{self.sagemaker_port}",
        }
