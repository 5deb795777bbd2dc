"""The edge to HealthImaging: every call the product makes, with our errors."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from isocenter.core import aws
from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.answers import (
    FoundImageSet,
    ImageSetState,
    ImportJob,
)

MAX_METADATA = 512 * 1024 * 1024
"""Bytes of inflated metadata that are read; HealthImaging's own limit is 50 MB."""


class FrameBody(Protocol):
    """A frame's streaming body."""

    def read(self, amt: int | None = None) -> bytes:
        """At most ``amt`` bytes, or all that remain; b"" at the end."""

    def close(self) -> None:
        """Give the connection back, or up if the body was not read to its end."""


class HealthImaging:
    """HealthImaging for one region. Thread-safe, as boto3 clients are."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls, *, pool: int = 10) -> "HealthImaging":
        """A client from AWS's own variables; ``pool`` connections at most."""
        return cls(aws.client("medical-imaging", pool=pool))

    def image_set(
        self, datastore_id: str, image_set_id: str, version_id: str | None = None
    ) -> ImageSetState:
        """GetImageSet, of the latest version if none is named."""
        with aws.calling(f"read image set {image_set_id} of {datastore_id}"):
            answer = self._client.get_image_set(
                datastoreId=datastore_id,
                imageSetId=image_set_id,
                **({"versionId": version_id} if version_id else {}),
            )
        return ImageSetState(
            image_set_id=answer["imageSetId"],
            version_id=str(answer["versionId"]),
            state=str(answer["imageSetState"]),
            workflow_status=str(answer.get("imageSetWorkflowStatus", "")),
            is_primary=answer.get("isPrimary"),
        )

    def metadata(
        self, datastore_id: str, image_set_id: str, version_id: str
    ) -> dict[str, Any]:
        """GetImageSetMetadata of one version, inflated and decoded.

        Raises:
            MalformedError: the blob is not gzip, not JSON, or over MAX_METADATA.
        """
        with aws.calling(f"read the metadata of image set {image_set_id}"):
            answer = self._client.get_image_set_metadata(
                datastoreId=datastore_id,
                imageSetId=image_set_id,
                versionId=version_id,
            )
            # botocore does not inflate the blob, whatever Content-Encoding says.
            blob = answer["imageSetMetadataBlob"].read()
        try:
            with gzip.open(io.BytesIO(blob)) as stream:
                inflated = stream.read(MAX_METADATA + 1)
            if len(inflated) > MAX_METADATA:
                raise MalformedError(
                    f"metadata of image set {image_set_id} is over {MAX_METADATA} bytes"
                )
            document = json.loads(inflated)
        # The last: JSON that is nested too deeply.
        except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
            raise MalformedError(
                f"metadata of image set {image_set_id} is not gzipped JSON"
            ) from error
        if not isinstance(document, dict):
            raise MalformedError(
                f"metadata of image set {image_set_id} is not a JSON object"
            )
        return document

    def frame(
        self, datastore_id: str, image_set_id: str, frame_id: str
    ) -> tuple[FrameBody, str]:
        """GetImageFrame: the streaming body and its content type."""
        with aws.calling(f"read frame {frame_id} of image set {image_set_id}"):
            answer = self._client.get_image_frame(
                datastoreId=datastore_id,
                imageSetId=image_set_id,
                imageFrameInformation={"imageFrameId": frame_id},
            )
        return answer["imageFrameBlob"], str(answer.get("contentType", ""))

    def frame_bytes(self, datastore_id: str, image_set_id: str, frame_id: str) -> bytes:
        """GetImageFrame, read to its end."""
        body, _ = self.frame(datastore_id, image_set_id, frame_id)
        try:
            with aws.calling(f"read frame {frame_id} of image set {image_set_id}"):
                return body.read()
        finally:
            body.close()

    def updated_between(
        self, datastore_id: str, start: datetime, end: datetime
    ) -> Iterator[FoundImageSet]:
        """SearchImageSets by updatedAt BETWEEN, all pages, oldest first."""
        return self._search(
            datastore_id,
            filters=[
                {
                    "operator": "BETWEEN",
                    "values": [{"updatedAt": start}, {"updatedAt": end}],
                }
            ],
            sort={"sortField": "updatedAt", "sortOrder": "ASC"},
        )

    def of_study(
        self, datastore_id: str, study_instance_uid: str
    ) -> Iterator[FoundImageSet]:
        """SearchImageSets by DICOMStudyInstanceUID EQUAL, all pages."""
        return self._search(
            datastore_id,
            filters=[
                {
                    "operator": "EQUAL",
                    "values": [{"DICOMStudyInstanceUID": study_instance_uid}],
                }
            ],
        )

    def _search(self, datastore_id: str, **criteria: Any) -> Iterator[FoundImageSet]:
        with aws.calling(f"search data store {datastore_id}"):
            pages = self._client.get_paginator("search_image_sets").paginate(
                datastoreId=datastore_id, searchCriteria=criteria
            )
            for page in pages:
                yield from map(_found, page["imageSetsMetadataSummaries"])

    def start_import(
        self,
        *,
        datastore_id: str,
        client_token: str,
        role_arn: str,
        input_s3_uri: str,
        output_s3_uri: str,
        job_name: str,
    ) -> str:
        """StartDICOMImportJob; the same token gives the same job. Answers its id."""
        with aws.calling(f"start the import of {input_s3_uri} into {datastore_id}"):
            answer = self._client.start_dicom_import_job(
                datastoreId=datastore_id,
                clientToken=client_token,
                dataAccessRoleArn=role_arn,
                inputS3Uri=input_s3_uri,
                outputS3Uri=output_s3_uri,
                jobName=job_name,
            )
        return str(answer["jobId"])

    def import_job(self, datastore_id: str, job_id: str) -> ImportJob:
        """GetDICOMImportJob."""
        with aws.calling(f"read import job {job_id} of {datastore_id}"):
            job = self._client.get_dicom_import_job(
                datastoreId=datastore_id, jobId=job_id
            )["jobProperties"]
        return ImportJob(
            job_id=job["jobId"],
            status=str(job["jobStatus"]),
            output_s3_uri=str(job["outputS3Uri"]),
            message=job.get("message"),
        )


def _found(summary: dict[str, Any]) -> FoundImageSet:
    return FoundImageSet(
        image_set_id=summary["imageSetId"],
        version_id=str(summary.get("version", "1")),
        is_primary=summary.get("isPrimary"),
        updated_at=summary["updatedAt"],
    )
