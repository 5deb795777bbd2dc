"""The batch manifest: what a Store SCP sealed, and intake imports.

``batches/<batch>.json`` is written last, after every instance it names is in S3:
a manifest that exists is complete. It carries no patient attribute.
"""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.validation import faults

MAX_INSTANCES = 5_000
"""Files in one import job (HealthImaging quota)."""
MAX_BYTES = 10 * 1000**3
"""Bytes in one import job (HealthImaging quota, not adjustable)."""
BATCH_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""A batch id is also the name of a Kubernetes resource (RFC 1123 subdomain)."""


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class StoredInstance(_Camel):
    """One instance of a batch, as it lies in S3."""

    key: str
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    calling_ae: str = Field(alias="callingAE")
    received_at: datetime


class BatchManifest(_Camel):
    """A sealed batch: the instances of one import job."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    batch: str = Field(pattern=BATCH_PATTERN, max_length=200)
    datastore: str
    sealed_at: datetime
    instances: tuple[StoredInstance, ...] = Field(min_length=1)

    def to_json(self) -> bytes:
        """The manifest as it is stored: UTF-8 JSON, stable for equal content."""
        return self.model_dump_json(by_alias=True, indent=1).encode()


def parse_manifest(body: bytes, *, source: str) -> BatchManifest:
    """Read a manifest.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return BatchManifest.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(
            f"{source} is not a batch manifest of schema 1: {faults(error)}"
        ) from None


def client_token(manifest: bytes) -> str:
    """StartDICOMImportJob's clientToken for a manifest: 64 hex digits, its maximum."""
    return hashlib.sha256(manifest).hexdigest()
