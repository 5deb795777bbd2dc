"""DICOMImportJob: one HealthImaging import of a prefix of S3. Pure."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from isocenter.core.run_request import ID_PATTERN
from isocenter.operator.conditions import Condition
from isocenter.operator.resources.base import Camel, Resource, S3Location

ImportPhase = Literal["Pending", "Submitted", "InProgress", "Completed", "Failed"]
TERMINAL_PHASES = frozenset({"Completed", "Failed"})

_ROLE_PATTERN = r"^arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+$"


class DICOMImportJobSpec(Camel):
    """What to import, where to, and as whom."""

    datastore_id: str = Field(
        pattern=ID_PATTERN,
        max_length=32,
        description="HealthImaging data store to import into.",
    )
    input_s3_uri: S3Location = Field(
        alias="inputS3Uri",
        description=(
            "Prefix that holds the DICOM files, such as s3://bucket/DICOM/. End it "
            "with a slash: .../1 would also match .../10. At most 5,000 files and "
            "10 GB."
        ),
    )
    output_s3_uri: S3Location = Field(
        alias="outputS3Uri",
        description="Prefix HealthImaging writes the job's results under.",
    )
    data_access_role_arn: (
        Annotated[str, Field(pattern=_ROLE_PATTERN, min_length=20, max_length=2048)]
        | None
    ) = Field(
        default=None,
        description=(
            "Role HealthImaging reads the input and writes the output with; the "
            "operator's setting if absent."
        ),
    )
    manifest_key: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None,
        description=(
            "Key of a batch manifest in the input's bucket. Its digest identifies "
            "the import: equal manifests are imported once, however often this "
            "resource is made. Without it each resource is an import of its own."
        ),
    )


class ImportedImageSet(Camel):
    """An image set that the job made or extended."""

    id: str
    version_id: str | None = None
    is_primary: bool | None = None


class DICOMImportJobStatus(Camel):
    """What the operator last saw."""

    phase: ImportPhase | None = Field(
        default=None, description="Summary of the job's progress."
    )
    job_id: str | None = Field(default=None, description="HealthImaging's id.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description=(
            "Completed: Unknown until the job ends. AllInstancesImported: whether "
            "every file that was found became part of an image set."
        ),
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    observed_generation: int | None = Field(
        default=None, description="metadata.generation this status belongs to."
    )
    scanned: int | None = Field(default=None, ge=0, description="Files found.")
    imported: int | None = Field(default=None, ge=0, description="Files imported.")
    failed: int | None = Field(
        default=None, ge=0, description="Files that could not be imported."
    )
    image_sets: tuple[ImportedImageSet, ...] = Field(
        default=(), description="Image sets the job made or extended."
    )
    output_s3_uri: str | None = Field(
        default=None,
        alias="outputS3Uri",
        description="The job's own folder under spec.outputS3Uri.",
    )
    start_time: datetime | None = Field(
        default=None, description="When the job was submitted."
    )
    completion_time: datetime | None = Field(
        default=None, description="When the job was seen to have ended."
    )
    message: str | None = Field(
        default=None, description="What is going on, or what went wrong."
    )

    @property
    def terminal(self) -> bool:
        """Nothing will change any more."""
        return self.phase in TERMINAL_PHASES


class DICOMImportJob(Resource):
    """One HealthImaging import job over a prefix of an S3 bucket."""

    KIND: ClassVar[str] = "DICOMImportJob"

    spec: DICOMImportJobSpec
    status: DICOMImportJobStatus = DICOMImportJobStatus()
