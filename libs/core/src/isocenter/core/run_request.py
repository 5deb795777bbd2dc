"""request.json: which image sets one attempt of a TrainingRun asks for.

Written by the operator before it starts the execution, read by the fetcher in
the first step. ``RequestS3Uri`` of the pipeline points at it.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.validation import faults

ID_PATTERN = "^[0-9a-z]{32}$"
"""Data store, image set and frame ids (HealthImaging API model)."""


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class ImageSetRef(_Camel):
    """An image set, pinned to a version if one is given."""

    id: str = Field(pattern=ID_PATTERN, description="Image set id.")
    version_id: str | None = Field(
        default=None,
        pattern=r"^\d+$",
        description="Version; the latest at the time of fetching if absent.",
    )


class RunRef(_Camel):
    """The TrainingRun attempt that asks."""

    namespace: str
    name: str
    uid: str
    attempt: int = Field(ge=1)


class RunRequest(_Camel):
    """The content of request.json."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    datastore_id: str = Field(pattern=ID_PATTERN)
    image_sets: tuple[ImageSetRef, ...] = Field(min_length=1, max_length=5_000)
    run: RunRef | None = None

    def to_json(self) -> bytes:
        """As stored: UTF-8 JSON."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()


def parse_request(body: bytes, *, source: str) -> RunRequest:
    """Read a request.json.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return RunRequest.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(
            f"{source} is not a run request: {faults(error)}"
        ) from None
