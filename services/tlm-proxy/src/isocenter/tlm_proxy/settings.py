"""Settings of the proxy: environment variables ``TLM_PROXY_<FIELD>``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from isocenter.core.run_request import ID_PATTERN
from isocenter.core.settings import ProcessSettings

DatastoreId = Annotated[str, Field(pattern=ID_PATTERN)]
DatastoreIdOrEvery = Annotated[str, Field(pattern=r"^([0-9a-z]{32}|\*)$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]

_NEEDED = {
    "none": (),
    "cognito": ("cognito_user_pool_id", "cognito_client_id"),
    "oidc": ("oidc_issuer",),
}


class Settings(ProcessSettings):
    """What the proxy is told. AWS's region and credentials are AWS's variables."""

    model_config = SettingsConfigDict(env_prefix="TLM_PROXY_", env_ignore_empty=True)

    port: int = Field(default=8080, ge=0, le=65535, description="HTTP port.")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that serve the port together, about one a core. They "
        "share memory for frames and calls a second out among themselves, and "
        "HealthImaging is still asked once for a frame.",
    )
    workers_folder: str = Field(
        default="/dev/shm",  # noqa: S108 - a folder of ours is made in it, for us alone
        description="Where a folder for the workers' sockets is made: one that can "
        "be written even where the root file system can't.",
    )
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
        default=None,
        # Never an empty list, which would let every client in.
        pattern=r"^\s*[^,\s]+(\s*,\s*[^,\s]+)*\s*$",
        description="App client the tokens are issued to; several with commas "
        "between them (cognito).",
    )
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Issuer of the tokens, as in their `iss` (oidc; with cognito "
        "it replaces the pool's own issuer).",
    )
    oidc_audience: str | None = Field(
        default=None,
        description="The `aud` that tokens must carry (oidc). There, this or "
        "oidc_client_ids has to be set.",
    )
    oidc_client_ids: tuple[str, ...] = Field(
        default=(),
        description="Clients whose tokens are accepted, by their `client_id` or "
        "`azp` (oidc); any if empty.",
    )
    required_scope: str | None = Field(
        default=None,
        pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$",
        description="A scope that tokens must have, in their `scope` or `scp`.",
    )
    token_recheck_s: float = Field(
        default=300.0,
        ge=0,
        le=86400,
        description="Seconds after which a token that was checked is checked again "
        "against the issuer's keys: how long a withdrawn key may go on.",
    )
    datastores: tuple[DatastoreId, ...] = Field(
        default=(),
        description="Ids of the data stores that are served; every one that the "
        "proxy's role may read if empty.",
    )
    datastores_claim: str | None = Field(
        default=None,
        min_length=1,
        description="Claim that says which data stores a caller may read, such as "
        "`cognito:groups`: ids, names of datastore_groups, or `*`. Without it, "
        "every caller may read all that are served.",
    )
    datastore_groups: dict[str, tuple[DatastoreIdOrEvery, ...]] = Field(
        default={},
        description="Ids of data stores (or `*`) by a name that datastores_claim "
        "may hold.",
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
    regions: tuple[Region, ...] = Field(
        default=(),
        description="AWS regions whose data stores are served; the process's own "
        "if empty.",
    )
    upstream_calls_per_s: float = Field(
        default=1000.0,
        gt=0,
        le=100_000,
        description="Calls of HealthImaging's runtime API that all of the process's "
        "workers may make in a second, a region. AWS's quota for GetImageFrame is "
        "1,000 an account: share it out among pods.",
    )
    dicomweb_calls_per_s: float = Field(
        default=50.0,
        gt=0,
        le=100_000,
        description="The same for HealthImaging's DICOMweb service, and for "
        "GetImageSetMetadata; half as many SearchImageSets. As AWS's quotas are.",
    )
    dicomweb_connections: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="Calls of each of those at the same time, a region.",
    )
    upstream_queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Calls that may wait for their turn, a region and service; "
        "more are turned away with 503.",
    )
    upstream_json_max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="Longest JSON answer of HealthImaging, inflated, that is read.",
    )
    upstream_connections: int = Field(
        default=64,
        ge=1,
        le=2000,
        description="Frames read from HealthImaging at the same time, a region.",
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
    dicomweb_search_max_rows: int = Field(
        default=10_000,
        ge=100,
        le=10_000,
        description="Results of HealthImaging that one DICOMweb search reads, in "
        "pages of 1,000; where they are filtered here, what is past them is not "
        "found, and the answer says so.",
    )
    dicomweb_map_ttl_s: float = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="Seconds that a study's list of image sets is trusted: how long "
        "a new version of an image set may go unseen by DICOMweb frames.",
    )
    dicomweb_map_max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Memory of all workers for where instances' frames are; about "
        "500 bytes an instance and 32 a frame.",
    )
    runs_s3_uri: str | None = Field(
        default=None,
        pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$",
        description="Where runs leave their datasets, s3://<bucket>/<runs_prefix>: "
        "/usage then names the runs that used a study. Off if absent.",
    )
    usage_refresh_s: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="Seconds between two listings of the runs, at least; they are "
        "listed when somebody asks.",
    )
    usage_max_image_sets: int = Field(
        default=200_000,
        ge=1,
        description="Image sets of runs that are kept in memory, each counted once "
        "a run, about 300 bytes each; the oldest runs are left out, and answers "
        "say so.",
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
        if self.auth_mode == "oidc" and not (
            self.oidc_audience or self.oidc_client_ids
        ):
            # Else the tokens of every client of the issuer would do.
            missing.append("TLM_PROXY_OIDC_AUDIENCE (or TLM_PROXY_OIDC_CLIENT_IDS)")
        if missing:
            raise ValueError(
                f"TLM_PROXY_AUTH_MODE={self.auth_mode} needs {' and '.join(missing)}"
            )
        if self.datastore_groups and self.datastores_claim is None:
            raise ValueError(
                "TLM_PROXY_DATASTORE_GROUPS needs TLM_PROXY_DATASTORES_CLAIM"
            )
        if "*" in self.cors_allow_origins:
            raise ValueError("TLM_PROXY_CORS_ALLOW_ORIGINS takes origins, not *")
        return self
