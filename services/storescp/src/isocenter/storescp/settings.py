"""Settings of the Store SCP: environment variables ``STORESCP_<FIELD>``.

Where AWS's s3-storescp sample has a setting of the same meaning, the name is the
sample's: ``SCP_PORT``, ``S3_UPLOAD_WORKERS``, ``MAXIMUM_PDU_SIZE`` and so on.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from isocenter.core.batch import MAX_BYTES, MAX_INSTANCES
from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import ProcessSettings
from isocenter.storescp.commitment.addresses import parse_address
from isocenter.storescp.peers import AllowedPeer

_SEGMENT = r"[A-Za-z0-9!_.*'()-]+"
_PREFIX = rf"^({_SEGMENT}(/{_SEGMENT})*/?)?$"
_NEEDED_PREFIX = rf"^{_SEGMENT}(/{_SEGMENT})*/?$"
_LAST_PORT = 65535
_MIB = 1024 * 1024
MAX_PDU_BYTES = _MIB
"""The longest PDU that is taken, whatever a peer was told."""

RENAMED = {
    "plain_port": "scp_port",
    "upload_threads": "s3_upload_workers",
    "max_associations": "maximum_associations",
    "max_pdu": "maximum_pdu_size",
    "network_timeout_s": "network_timeout",
}
"""Earlier names of settings, and today's. The chart takes both."""


def _folder(prefix: str) -> str:
    return f"{prefix}/" if prefix and not prefix.endswith("/") else prefix


def _report_addresses(peers: dict[str, str]) -> dict[str, str]:
    for address in peers.values():
        parse_address(address)
    return peers


Prefix = Annotated[str, AfterValidator(_folder)]
"""A key prefix, made to end with a slash unless it is empty."""


class StoreScpSettings(ProcessSettings):
    """How instances come in, how they are batched, and where they go."""

    model_config = SettingsConfigDict(env_prefix="STORESCP_", frozen=True)

    # Who is here, and where.
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
    scp_port: int | None = Field(
        default=None,
        ge=1,
        le=_LAST_PORT,
        description="Port of DICOM without TLS; unset, there is none.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Processes that share the ports, each with a folder of its own on"
        " the spool's volume: as many as there are cores to receive with.",
    )

    # Who may call, and for what.
    allowed_peers: tuple[AllowedPeer, ...] = Field(
        default=(),
        description="Who may send: a list of {aeTitle, cidrs, certificateSubject}, of"
        ' which aeTitle is needed and may be "*" for any; all that is given must fit.'
        " Nobody else may.",
    )
    called_ae_titles: tuple[str, ...] = Field(
        default=(),
        description="Called AE titles that are answered to beside ae_title;"
        ' "*" among them: any.',
    )
    accept_private_sop_classes: bool = Field(
        default=True,
        description="Whether instances of private SOP classes are taken for storage.",
    )
    max_operations_performed: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Requests that a peer may have outstanding on one association, if"
        " it asks for asynchronous operations (PS3.7 D.3.3.3).",
    )

    # Associations.
    maximum_associations: int = Field(
        default=32,
        ge=1,
        le=1000,
        description="Associations at the same time, in all workers together.",
    )
    maximum_associations_per_peer: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="Associations at the same time of one AE title at one address, in"
        " all workers together.",
    )
    maximum_pending: int = Field(
        default=2048,
        ge=1,
        le=10_000,
        description="Connections without an association, in one worker; beyond, the"
        " longest waiting one of the address that has most of them is closed, so a"
        " flood closes its own.",
    )
    maximum_pending_per_peer: int = Field(
        default=1536,
        ge=1,
        le=10_000,
        description="Connections without an association of one address, in one worker;"
        " beyond, its longest waiting one is closed. Many peers may share an address,"
        " that of a load balancer: only what is over it is left to other addresses.",
    )
    artim_timeout: float = Field(
        default=15.0,
        gt=0,
        description="Seconds from a connection to the end of its A-ASSOCIATE-RQ (ARTIM"
        " timer, PS3.8 9.1.4), TLS handshake included.",
    )
    maximum_pdu_size: int = Field(
        default=128 * 1024,
        ge=0,
        le=MAX_PDU_BYTES,
        description="Largest PDU that peers are asked to send, in bytes, at least 4096;"
        " 0: as large as is taken at all, 1 MiB.",
    )
    network_timeout: float = Field(
        default=60.0,
        gt=0,
        description="Seconds of silence between two messages after which an"
        " association is aborted.",
    )
    dimse_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds of silence within a message that has begun after which"
        " an association is aborted.",
    )
    cstore_delay_ms: int = Field(
        default=0,
        ge=0,
        le=60_000,
        description="Milliseconds that every C-STORE response is held back: a throttle"
        " on senders.",
    )

    # What instances become in S3.
    bucket: str = Field(
        min_length=3, max_length=63, description="S3 bucket that batches go to."
    )
    datastore_id: str = Field(
        pattern="^[0-9a-z]{32}$",
        description="HealthImaging data store that batches are for.",
    )
    imported: bool = Field(
        default=True,
        description="Whether HealthImaging imports the batches: settings under which"
        " it can't are then refused.",
    )
    dicom_prefix: Prefix = Field(
        default="DICOM/",
        pattern=_PREFIX,
        description="Key prefix of instances; may be empty.",
    )
    add_studyuid_prefix: bool = Field(
        default=False,
        description="Put the Study Instance UID, as a folder, before an instance's name"
        " in its key, within its batch.",
    )
    batches_prefix: Prefix = Field(
        default="batches/", pattern=_NEEDED_PREFIX, description="Prefix of manifests."
    )
    create_metadata: bool = Field(
        default=False,
        description="Also write each instance's attributes as DICOM JSON to S3.",
    )
    metadata_prefix: Prefix = Field(
        default="metadata/",
        pattern=_PREFIX,
        description="Key prefix of DICOM JSON; may be empty.",
    )
    gzip_files: bool = Field(
        default=False,
        description="Compress instances and their DICOM JSON with gzip before they go"
        " to S3; HealthImaging can't import these.",
    )
    gzip_level: int = Field(
        default=5, ge=1, le=9, description="How hard gzip tries: 1 fastest, 9 smallest."
    )
    s3_upload_workers: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Objects put to S3 at the same time, in all workers together.",
    )
    boto_max_pool_connections: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Connections to S3 that a worker keeps open at most.",
    )
    multipart_bytes: int = Field(
        default=64 * _MIB,
        ge=5 * _MIB,
        le=5000 * _MIB,
        description="Files larger than this go to S3 in parts.",
    )

    # What is durable, and how much room there is for it.
    durability: Literal["spool", "object_store"] = Field(
        default="spool",
        description="What an instance has reached before it is acknowledged: spool, the"
        " volume (fsync of file and folder), or object_store, S3.",
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
    spool_resume_free_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Free space from which instances are taken again once they were"
        " refused; unset: a quarter more than spool_min_free_bytes.",
    )
    spool_max_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Bytes of instances on the volume over which more are refused"
        " (status A700); unset: only free space counts.",
    )
    index_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days for which an instance is known that was stored, to tell"
        " duplicates and to commit storage.",
    )
    quarantine_prefix: Prefix = Field(
        default="quarantine/",
        pattern=_NEEDED_PREFIX,
        description="Key prefix of instances that can't be stored, with the reason.",
    )
    quarantine_max_bytes: int = Field(
        default=1024 * _MIB,
        ge=0,
        description="Bytes of refused instances that a worker keeps on the volume until"
        " S3 has them; what is beyond is dropped. 0: none is kept.",
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
    # Storage commitment.
    commitment: Literal["s3", "imported", "off"] = Field(
        default="s3",
        description="When an instance's storage is committed: s3, when it is in S3;"
        " imported, when HealthImaging imported it; off, requests are not accepted.",
    )
    commitment_peers: Annotated[dict[str, str], AfterValidator(_report_addresses)] = (
        Field(
            default={},
            description="Where reports go whose association is closed: AE title to"
            " host:port or host:port,tls.",
        )
    )
    commitment_tls_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities for commitment_peers with tls; unset, that"
        " of tls_ca_file, or the system's.",
    )
    commitment_wait_s: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds from a request for an acknowledged instance to be where it"
        " is to be; then it fails by 0110.",
    )
    commitment_unknown_wait_s: float = Field(
        default=300.0,
        ge=0,
        description="Seconds from a request for an instance that nobody knows to turn"
        " up; then it fails by 0112. Another pod's are known when their batch is"
        " sealed.",
    )
    commitment_lookback_h: float = Field(
        default=24.0,
        ge=0,
        description="Hours before a request from which manifests are searched for"
        " instances that this pod does not know.",
    )
    commitment_report_s: float = Field(
        default=86_400.0,
        gt=0,
        description="Seconds from the decision for which a report is tried.",
    )
    commitment_remember_days: float = Field(
        default=30.0,
        gt=0,
        description="Days for which a Transaction UID is known to be used.",
    )
    import_output_prefix: Prefix = Field(
        default="import-output/",
        pattern=_NEEDED_PREFIX,
        description="Key prefix of import results, as intake has it; for commitment"
        " imported.",
    )

    shutdown_grace_s: float = Field(
        default=45.0,
        ge=0,
        description="Seconds from SIGTERM to exit: all but a quarter, or but 30, for"
        " associations to end, the rest to end those that have not and to empty the"
        " spool. Must be under the pod's grace period.",
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, *sources: Any, **named: Any
    ) -> tuple[Any, ...]:
        """Refuse variables by their earlier names: unread, they'd be without effect.

        Raises:
            ConfigurationError: naming today's variable.
        """
        environment = named["env_settings"].env_vars
        for earlier, today in RENAMED.items():
            if f"storescp_{earlier}" in environment:
                raise ConfigurationError(
                    f"STORESCP_{earlier.upper()} is called STORESCP_{today.upper()} now"
                )
        return super().settings_customise_sources(settings_cls, *sources, **named)

    @model_validator(mode="after")
    def _has_a_port(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError(
                "set both STORESCP_TLS_CERT_FILE and STORESCP_TLS_KEY_FILE, or neither"
            )
        if self.tls_cert_file is None and self.scp_port is None:
            raise ValueError(
                "no port to listen on: set STORESCP_TLS_CERT_FILE and"
                " STORESCP_TLS_KEY_FILE, or STORESCP_SCP_PORT for DICOM without TLS"
            )
        if self.tls_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("STORESCP_TLS_CA_FILE needs STORESCP_TLS_CERT_FILE")
        if self.tls_ca_file is None and any(
            peer.certificate_subject for peer in self.allowed_peers
        ):
            raise ValueError(
                "STORESCP_ALLOWED_PEERS names certificate subjects, but no peer is"
                " asked for a certificate: set STORESCP_TLS_CA_FILE"
            )
        if 0 < self.maximum_pdu_size < 4096:  # noqa: PLR2004 - the smallest that peers are known to keep to
            raise ValueError("STORESCP_MAXIMUM_PDU_SIZE must be 0, or 4096 and more")
        return self

    @model_validator(mode="after")
    def _can_be_imported(self) -> Self:
        """HealthImaging imports P10 files that are no archive, and nothing beside."""
        if not self.imported:
            if self.commitment == "imported":
                raise ValueError(
                    "STORESCP_COMMITMENT is imported, but nothing is imported: set it"
                    " to s3 or off, or STORESCP_IMPORTED to true"
                )
            return self
        if self.gzip_files:
            raise ValueError(
                "STORESCP_GZIP_FILES is on, but HealthImaging can't import compressed"
                " files: turn it off, or set STORESCP_IMPORTED to false"
            )
        if self.create_metadata and self.metadata_prefix == self.dicom_prefix:
            raise ValueError(
                "STORESCP_METADATA_PREFIX is STORESCP_DICOM_PREFIX, but HealthImaging"
                " would take the DICOM JSON beside instances for instances: choose"
                " another prefix, or set STORESCP_IMPORTED to false"
            )
        return self

    @model_validator(mode="after")
    def _takes_again_later_than_it_refuses(self) -> Self:
        resume = self.spool_resume_free_bytes
        if resume is not None and resume < self.spool_min_free_bytes:
            raise ValueError(
                "STORESCP_SPOOL_RESUME_FREE_BYTES is less than"
                " STORESCP_SPOOL_MIN_FREE_BYTES"
            )
        return self

    @property
    def resume_free_bytes(self) -> int:
        """Free bytes from which instances are taken again."""
        if self.spool_resume_free_bytes is not None:
            return self.spool_resume_free_bytes
        return self.spool_min_free_bytes * 5 // 4

    @property
    def pdu_bytes(self) -> int:
        """The largest PDU that peers are told to send."""
        return self.maximum_pdu_size or MAX_PDU_BYTES

    @property
    def upload_workers_each(self) -> int:
        """Uploads at the same time of one worker process; at least one."""
        return -(-self.s3_upload_workers // self.workers)
