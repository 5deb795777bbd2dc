"""job-output-manifest.json of an import job. Pure.

Source: HealthImaging developer guide, "Understanding import jobs"; members that
only newer documents or live data show are optional.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.validation import faults


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class GeneratedImageSet(_Camel):
    """One image set that an import job made or extended."""

    image_set_id: str
    image_set_version: int | None = None
    is_primary: bool | None = None
    number_of_matched_sop_instances: int = Field(
        default=0, alias="numberOfMatchedSOPInstances"
    )


class ImportSummary(_Camel):
    """The ``jobSummary`` member."""

    job_id: str
    datastore_id: str
    output_s3_uri: str = Field(alias="outputS3Uri")
    failure_output_s3_uri: str | None = Field(default=None, alias="failureOutputS3Uri")
    number_of_scanned_files: int
    number_of_imported_files: int
    number_of_files_with_customer_error: int = 0
    number_of_files_with_server_error: int = 0
    number_of_generated_image_sets: int = 0
    image_sets_summary: tuple[GeneratedImageSet, ...] = ()


def manifest_uri(output_s3_uri: str) -> str:
    """Where the manifest of a job lies.

    Args:
        output_s3_uri: ``outputS3Uri`` as GetDICOMImportJob answers it: the job's
            own folder, with or without the last slash.
    """
    return output_s3_uri.rstrip("/") + "/job-output-manifest.json"


def parse_import_output(document: Any, *, source: str) -> ImportSummary:
    """Read the decoded manifest.

    Raises:
        MalformedError: naming ``source`` and what is missing.
    """
    try:
        return ImportSummary.model_validate(document["jobSummary"])
    except ValidationError as error:
        raise MalformedError(
            f"{source} is not an import job's output manifest: {faults(error)}"
        ) from None
    except (KeyError, TypeError):
        raise MalformedError(
            f"{source} is not an import job's output manifest: it has no jobSummary"
        ) from None
