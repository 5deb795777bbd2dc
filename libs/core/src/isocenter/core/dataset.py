"""The dataset's manifest.json: what was asked, what is there, what is missing.

Written by the fetcher after every array is on disk, read by the training step.
A dataset without a manifest is not complete. No patient attribute is in it:
patients appear only as a keyed hash.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.run_request import ImageSetRef
from isocenter.core.validation import faults

MANIFEST_NAME = "manifest.json"
Split = Literal["train", "validation", "test"]


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class OmissionReason(StrEnum):
    """Why something that was asked for is not in the dataset."""

    IMAGE_SET_NOT_FOUND = "ImageSetNotFound"
    IMAGE_SET_NOT_ACTIVE = "ImageSetNotActive"
    ACCESS_DENIED = "AccessDenied"
    NO_FRAMES = "NoFrames"
    TRANSFER_SYNTAX_NOT_DECODABLE = "TransferSyntaxNotDecodable"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    DECODE_FAILED = "DecodeFailed"
    METADATA_MALFORMED = "MetadataMalformed"
    FETCH_FAILED = "FetchFailed"


class Omission(_Camel):
    """One thing that was asked for and is not in the dataset."""

    image_set_id: str
    sop_instance_uid: str | None = None
    frame_number: int | None = Field(default=None, ge=1)
    reason: OmissionReason
    message: str


class FrameRecord(_Camel):
    """Where one slice of an array comes from."""

    frame_id: str
    sop_instance_uid: str
    frame_number: int = Field(ge=1, description="1-based within its instance.")
    crc32: int = Field(
        ge=0,
        le=0xFFFFFFFF,
        description="HealthImaging's checksum; of the decoded bytes if it has none.",
    )
    verified: bool = Field(
        default=True, description="False: HealthImaging recorded no checksum."
    )


class ArrayFile(_Camel):
    """One array: slices along axis 0, in the order of ``frames``.

    ``values * rescale_slope + rescale_intercept`` are the modality's units
    (PS3.3 C.11.1) where the source has a linear rescale; stored values are kept
    as they are. Slices of one volume that differ in their rescale (PET) have it
    applied: the array is of a float type and the rescale is 1 and 0.
    """

    path: str = Field(description="Relative to the manifest, with /.")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    shape: tuple[int, ...]
    dtype: str
    axes: Literal["zyx", "zyxc"]
    spacing: tuple[float, float, float] | None = Field(
        default=None, description="mm between centres along z, y, x; null if unknown."
    )
    origin: tuple[float, float, float] | None = Field(
        default=None, description="mm, patient coordinates of the first voxel."
    )
    direction: tuple[float, ...] | None = Field(
        default=None, description="Row, column and slice cosines, 9 numbers."
    )
    uniform: bool = Field(description="All slices have one spacing and orientation.")
    rescale_slope: float = 1.0
    rescale_intercept: float = 0.0
    series_instance_uid: str | None = None
    photometric_interpretation: str | None = Field(
        default=None, description="As decoded; MONOCHROME1 means that low is bright."
    )
    frames: tuple[FrameRecord, ...] = Field(min_length=1)


class ImageSetEntry(_Camel):
    """One image set of the dataset: a directory of its own."""

    image_set_id: str
    version_id: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    modality: str | None = None
    patient_key: str = Field(
        pattern="^[0-9a-f]{32}$", description="Keyed hash of the patient, not the id."
    )
    split: Split
    arrays: tuple[ArrayFile, ...]


class SplitPolicy(_Camel):
    """How patients were split: datasets of equal policies can be joined."""

    key_id: str = Field(description="Names the key of the patient hash.")
    train: float
    validation: float
    test: float


class DatasetManifest(_Camel):
    """The content of manifest.json."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    format: Literal["npy"] = "npy"
    datastore_id: str
    requested: tuple[ImageSetRef, ...]
    image_sets: tuple[ImageSetEntry, ...]
    omissions: tuple[Omission, ...] = ()
    splits: SplitPolicy | None = None
    digest: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 over the sorted `path sha256` lines of all arrays.",
    )

    def to_json(self) -> bytes:
        """As stored: UTF-8 JSON."""
        return self.model_dump_json(by_alias=True, indent=1).encode()


def parse_dataset(body: bytes, *, source: str) -> DatasetManifest:
    """Read a dataset manifest.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return DatasetManifest.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(
            f"{source} is not a dataset manifest of schema 1: {faults(error)}"
        ) from None
