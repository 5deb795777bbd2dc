"""A job of the service: what is asked, and how it stands. Pure.

``<jobs prefix>/<id>.json`` is the record. ``<jobs prefix>/open/<id>`` marks a job
that has not ended; it is written before the record and removed after the record says
that the job ended, so that a restart finds every job that it has to go on with.
"""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.dataset import Omission
from isocenter.core.errors import MalformedError
from isocenter.core.run_request import ID_PATTERN, ImageSetRef, RunRequest

JOB_ID_PATTERN = "^[0-9a-f]{32}$"
JobStatus = Literal["Queued", "Running", "Succeeded", "Failed"]
ENDED: frozenset[JobStatus] = frozenset({"Succeeded", "Failed"})


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class DatasetOrder(_Camel):
    """POST /v1/datasets: which image sets, and where the dataset goes."""

    datastore_id: str = Field(pattern=ID_PATTERN)
    image_sets: tuple[ImageSetRef, ...] = Field(min_length=1, max_length=5_000)
    output_s3_uri: str = Field(
        alias="outputS3Uri",
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$",
        max_length=1024,
        description="Prefix that the dataset's files are written below.",
    )
    allow_omissions: bool = Field(
        default=False,
        description="Write the manifest although something asked for is missing.",
    )

    @property
    def job_id(self) -> str:
        """Equal orders are one job: a hash of the order."""
        text = self.model_dump_json(by_alias=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def request(self) -> RunRequest:
        """The order as the fetch knows it."""
        return RunRequest(datastore_id=self.datastore_id, image_sets=self.image_sets)

    def output(self, path: str) -> str:
        """URI of a file of the dataset."""
        return f"{self.output_s3_uri.rstrip('/')}/{path}"


class JobProgress(_Camel):
    """How far a running job is; totals grow while image sets are being read."""

    image_sets_done: int = 0
    image_sets_total: int = 0
    frames_done: int = 0
    frames_total: int = 0
    stored_bytes: int = 0


class JobResult(_Camel):
    """The dataset that a job made."""

    manifest_s3_uri: str = Field(alias="manifestS3Uri")
    image_sets: int
    arrays: int
    digest: str


class JobRecord(_Camel):
    """A job as it is stored and answered."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    id: str = Field(pattern=JOB_ID_PATTERN)
    status: JobStatus
    order: DatasetOrder
    attempt: int = Field(default=1, ge=1)
    submitted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: JobProgress = JobProgress()
    result: JobResult | None = None
    omissions: tuple[Omission, ...] = ()
    message: str | None = None

    @property
    def ended(self) -> bool:
        """Nothing more will happen to the job by itself."""
        return self.status in ENDED

    def to_json(self) -> bytes:
        """As stored: UTF-8 JSON."""
        return self.model_dump_json(by_alias=True, indent=1).encode()


def submitted(
    order: DatasetOrder, earlier: JobRecord | None, now: datetime
) -> JobRecord:
    """The record after an order came in: the earlier one, unless it failed.

    Asking again for a dataset that failed is how it is tried again.
    """
    if earlier is not None and earlier.status != "Failed":
        return earlier
    return JobRecord(
        id=order.job_id,
        status="Queued",
        order=order,
        attempt=earlier.attempt + 1 if earlier else 1,
        submitted_at=now,
    )


def parse_job(body: bytes, *, source: str) -> JobRecord:
    """Read a job record.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return JobRecord.model_validate_json(body)
    except ValidationError as error:
        members = ", ".join(
            ".".join(str(part) for part in item["loc"]) or item["msg"]
            for item in error.errors(include_input=False)[:5]
        )
        raise MalformedError(f"{source} is not a job record: {members}") from error
