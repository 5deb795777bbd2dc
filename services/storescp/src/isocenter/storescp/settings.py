"""Settings of the Store SCP: environment variables ``STORESCP_<FIELD>``."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from isocenter.core.batch import MAX_BYTES, MAX_INSTANCES
from isocenter.core.settings import ProcessSettings

_PREFIX = r"^([A-Za-z0-9!_.*'()-]+/)+$"
_LAST_PORT = 65535
_MIB = 1024 * 1024


class StoreScpSettings(ProcessSettings):
    """How instances come in, how they are batched, and where they go."""

    model_config = SettingsConfigDict(env_prefix="STORESCP_", frozen=True)

    ae_title: str = Field(
        default="S3SCP",
        pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$",
        description="Application entity title of this SCP.",
    )
    listen_address: str = Field(
        default="0.0.0.0",  # noqa: S104 - a container listens on its pod's address
        description='Address to listen on; "::" for IPv6.',
    )
    tls_port: int = Field(
        default=11113,
        ge=1,
        le=_LAST_PORT,
        description="Port of DICOM over TLS (PS3.15 B.12).",
    )
    tls_cert_file: Path | None = Field(
        default=None, description="PEM file of the certificate chain."
    )
    tls_key_file: Path | None = Field(
        default=None, description="PEM file of the certificate's private key."
    )
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities; set, it makes peers show a certificate.",
    )
    plain_port: int | None = Field(
        default=None,
        ge=1,
        le=_LAST_PORT,
        description="Port of DICOM without TLS; unset, there is none.",
    )
    bucket: str = Field(
        min_length=3, max_length=63, description="S3 bucket that batches go to."
    )
    datastore_id: str = Field(
        pattern="^[0-9a-z]{32}$",
        description="HealthImaging data store that batches are for.",
    )
    dicom_prefix: str = Field(
        default="DICOM/", pattern=_PREFIX, description="Key prefix of instances."
    )
    batches_prefix: str = Field(
        default="batches/", pattern=_PREFIX, description="Key prefix of manifests."
    )
    create_metadata: bool = Field(
        default=False,
        description="Also write each instance's attributes as DICOM JSON to S3.",
    )
    metadata_prefix: str = Field(
        default="metadata/", pattern=_PREFIX, description="Key prefix of DICOM JSON."
    )
    spool_dir: Path = Field(
        default=Path("/spool"),
        description="Folder on a durable volume; instances lie here until S3 has them.",
    )
    spool_min_free_bytes: int = Field(
        default=1024 * _MIB,
        ge=0,
        description="Free space under which instances are refused (status A700).",
    )
    batch_quiet_s: float = Field(
        default=10.0,
        gt=0,
        description="Seconds without an instance after which a batch is sealed.",
    )
    batch_max_age_s: float = Field(
        default=120.0, gt=0, description="Seconds after which a batch is sealed."
    )
    batch_max_instances: int = Field(
        default=MAX_INSTANCES,
        ge=1,
        le=MAX_INSTANCES,
        description="Instances after which a batch is sealed.",
    )
    batch_max_bytes: int = Field(
        default=MAX_BYTES,
        ge=1,
        le=MAX_BYTES,
        description="Bytes after which a batch is sealed.",
    )
    upload_threads: int = Field(
        default=4, ge=1, le=64, description="Objects put to S3 at the same time."
    )
    multipart_bytes: int = Field(
        default=64 * _MIB,
        ge=5 * _MIB,
        le=5000 * _MIB,
        description="Files larger than this go to S3 in parts.",
    )
    max_associations: int = Field(
        default=32, ge=1, le=1000, description="Associations at the same time."
    )
    max_pdu: int = Field(
        default=128 * 1024,
        ge=4096,
        le=1024 * 1024,
        description="Largest PDU that peers are asked to send, in bytes.",
    )
    network_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds of silence after which an association is aborted.",
    )
    shutdown_grace_s: float = Field(
        default=45.0,
        ge=0,
        description="Seconds from SIGTERM to exit: half for associations to end, the"
        " rest to empty the spool. Must be under the pod's grace period.",
    )

    @model_validator(mode="after")
    def _has_a_port(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError(
                "set both STORESCP_TLS_CERT_FILE and STORESCP_TLS_KEY_FILE, or neither"
            )
        if self.tls_cert_file is None and self.plain_port is None:
            raise ValueError(
                "no port to listen on: set STORESCP_TLS_CERT_FILE and"
                " STORESCP_TLS_KEY_FILE, or STORESCP_PLAIN_PORT for DICOM without TLS"
            )
        if self.tls_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("STORESCP_TLS_CA_FILE needs STORESCP_TLS_CERT_FILE")
        return self
