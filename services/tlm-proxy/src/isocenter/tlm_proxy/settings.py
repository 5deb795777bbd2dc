"""Settings of the proxy: environment variables ``TLM_PROXY_<FIELD>``."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from isocenter.core.settings import ProcessSettings

_NEEDED = {
    "none": (),
    "cognito": ("cognito_user_pool_id", "cognito_client_id"),
    "oidc": ("oidc_issuer", "oidc_audience"),
}


class Settings(ProcessSettings):
    """What the proxy is told. AWS's region and credentials are AWS's variables."""

    model_config = SettingsConfigDict(env_prefix="TLM_PROXY_", env_ignore_empty=True)

    port: int = Field(default=8080, ge=0, le=65535, description="HTTP port.")
    auth_mode: Literal["cognito", "oidc", "none"] = Field(
        default="cognito",
        description="Whose access tokens are asked for. `none` lets everybody "
        "who reaches the port read every frame, and has to be said.",
    )
    cognito_user_pool_id: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]+_[0-9a-zA-Z]+$",
        description="User pool whose access tokens are accepted (cognito).",
    )
    cognito_client_id: str | None = Field(
        default=None, description="App client the tokens are issued to (cognito)."
    )
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Issuer of the tokens, as in their `iss` (oidc; with cognito "
        "it replaces the pool's own issuer).",
    )
    oidc_audience: str | None = Field(
        default=None, description="The `aud` that tokens must carry (oidc)."
    )
    jwks_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s#]+$",
        description="Where the issuer's keys are read, if not where its "
        "discovery document (oidc) or its user pool (cognito) says.",
    )
    cors_allow_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins whose pages may read answers; none by default.",
    )
    cache_max_bytes: int = Field(
        default=512 * 1024 * 1024,
        ge=0,
        description="Memory for whole frames, in bytes; 0 turns the cache off. A "
        "frame over an eighth of it is not kept.",
    )
    upstream_connections: int = Field(
        default=64,
        ge=1,
        le=2000,
        description="Frames read from HealthImaging at the same time.",
    )
    upstream_attempts: int = Field(
        default=4,
        ge=1,
        le=10,
        description="Calls for one frame before throttling or an error is passed on.",
    )
    upstream_deadline_s: float = Field(
        default=20.0,
        gt=0,
        le=300,
        description="Seconds until a frame's first byte, all attempts together.",
    )
    upstream_idle_s: float = Field(
        default=20.0,
        gt=0,
        le=300,
        description="Seconds without a byte before a frame's reading is given up.",
    )
    drain_s: int = Field(
        default=20,
        ge=0,
        le=300,
        description="Seconds that answers under way are given after SIGTERM.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [
            f"TLM_PROXY_{name.upper()}"
            for name in _NEEDED[self.auth_mode]
            if getattr(self, name) is None
        ]
        if missing:
            raise ValueError(
                f"TLM_PROXY_AUTH_MODE={self.auth_mode} needs {' and '.join(missing)}"
            )
        if "*" in self.cors_allow_origins:
            raise ValueError("TLM_PROXY_CORS_ALLOW_ORIGINS takes origins, not *")
        return self
