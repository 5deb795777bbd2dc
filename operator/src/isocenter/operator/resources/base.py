"""What the three kinds share: group, metadata, and how a status is patched. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "isocenter.dev"
VERSION = "v1alpha1"
PLURALS = {
    "TrainingRun": "trainingruns",
    "TrainingTrigger": "trainingtriggers",
    "DICOMImportJob": "dicomimportjobs",
}
HINT_ANNOTATION = "isocenter.dev/hint"
"""Set to an event's id: the resource is looked at now rather than at the next poll."""

S3_URI_PATTERN = r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$"
S3Location = Annotated[str, Field(pattern=S3_URI_PATTERN, max_length=1024)]
"""S3Uri of the HealthImaging API model."""


class Camel(BaseModel):
    """Immutable; camelCase outside, snake_case inside; unknown members are dropped."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Metadata(Camel):
    """The part of ``metadata`` that is read."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 1
    resource_version: str | None = None
    creation_timestamp: datetime | None = None
    annotations: Mapping[str, str] = {}


class Resource(Camel):
    """An object of the API server; each kind adds ``spec`` and ``status``."""

    metadata: Metadata


def merge_patch(before: Camel, after: Camel) -> dict[str, Any]:
    """The merge patch (RFC 7386) that makes the status ``before`` into ``after``.

    Members are compared one by one at the top level; empty when nothing changed.
    """
    old, new = _dump(before), _dump(after)
    patch = {name: new[name] for name in new if new[name] != old.get(name)}
    return patch | {name: None for name in old if name not in new}


def _dump(status: Camel) -> dict[str, Any]:
    return status.model_dump(
        by_alias=True, mode="json", exclude_none=True, exclude_defaults=True
    )
