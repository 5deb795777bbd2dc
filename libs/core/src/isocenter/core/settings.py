"""Settings: one frozen class per process, read once, one prefix each.

Order of sources, last wins: the field's default, then the environment variable
``<PREFIX><FIELD>`` in capitals. Lists and maps are JSON. AWS region, credentials
and endpoints are AWS's own variables and are not repeated here.
"""

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from isocenter.core.errors import ConfigurationError

S = TypeVar("S", bound="ProcessSettings")


class ProcessSettings(BaseSettings):
    """Base of every process's settings; subclasses set ``env_prefix``."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least severe log level that is written.",
    )
    health_port: int = Field(
        default=8081,
        ge=1,
        le=65535,
        description="Port of /healthz, /readyz and /metrics.",
    )


def load(cls: type[S]) -> S:
    """Read ``cls`` from the environment.

    Raises:
        ConfigurationError: naming each wrong or missing environment variable.
    """
    try:
        return cls()
    except ValidationError as error:
        prefix = str(cls.model_config.get("env_prefix", ""))
        problems = "; ".join(
            f"{prefix}{'.'.join(str(part) for part in item['loc'])}".upper()
            + f": {item['msg']}"
            for item in error.errors(include_input=False)
        )
        raise ConfigurationError(f"settings are not usable: {problems}") from error
