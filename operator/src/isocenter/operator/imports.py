"""The edge to HealthImaging's import jobs and the S3 objects around one.

Calls: ListObjectsV2 and GetObject on the input, StartDICOMImportJob,
GetDICOMImportJob, GetObject on the job's output manifest.
"""

import hashlib
import json

from isocenter.core.aws import split_s3_uri
from isocenter.core.batch import client_token
from isocenter.core.errors import MalformedError, NotFoundError
from isocenter.core.healthimaging.answers import ImportJob
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.import_output import (
    ImportSummary,
    manifest_uri,
    parse_import_output,
)
from isocenter.operator.objects import ObjectStore
from isocenter.operator.resources import DICOMImportJob

JOB_NAME_LIMIT = 64


def output_folder(job: ImportJob, datastore_id: str) -> str:
    """The job's own folder, with the last slash.

    GetDICOMImportJob answers it in production; the API's documentation lets it
    also be the prefix that was passed, so the folder's name is added if missing.
    """
    uri = job.output_s3_uri.rstrip("/")
    folder = f"{datastore_id}-DicomImport-{job.job_id}"
    return f"{uri}/" if uri.endswith(folder) else f"{uri}/{folder}/"


class Imports:
    """Import jobs of one account and region. Thread-safe."""

    def __init__(
        self, healthimaging: HealthImaging, objects: ObjectStore, role_arn: str | None
    ) -> None:
        self._healthimaging = healthimaging
        self._objects = objects
        self._role_arn = role_arn

    def role(self, job: DICOMImportJob) -> str | None:
        """The role the job would run as."""
        return job.spec.data_access_role_arn or self._role_arn

    def has_input(self, job: DICOMImportJob) -> bool:
        """Whether there is an object under the input prefix."""
        return self._objects.any_under(*split_s3_uri(job.spec.input_s3_uri))

    def token(self, job: DICOMImportJob) -> str:
        """clientToken: the digest of the batch manifest, or else of the uid."""
        if job.spec.manifest_key is None:
            return hashlib.sha256(job.metadata.uid.encode()).hexdigest()
        bucket, _ = split_s3_uri(job.spec.input_s3_uri)
        return client_token(self._objects.get(bucket, job.spec.manifest_key))

    def submit(self, job: DICOMImportJob, *, token: str, role_arn: str) -> str:
        """StartDICOMImportJob; the same token gives the same job. Answers its id."""
        return self._healthimaging.start_import(
            datastore_id=job.spec.datastore_id,
            client_token=token,
            role_arn=role_arn,
            input_s3_uri=job.spec.input_s3_uri,
            output_s3_uri=job.spec.output_s3_uri,
            # The characters of a resource's name are all allowed in a job's.
            job_name=job.metadata.name[:JOB_NAME_LIMIT],
        )

    def job(self, job: DICOMImportJob, job_id: str) -> ImportJob:
        """GetDICOMImportJob."""
        return self._healthimaging.import_job(job.spec.datastore_id, job_id)

    def summary(self, folder: str) -> ImportSummary | None:
        """The job's output manifest; None while it is not there.

        Raises:
            MalformedError: it is there and can't be read.
        """
        uri = manifest_uri(folder)
        try:
            body = self._objects.get(*split_s3_uri(uri))
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return None
        try:
            document = json.loads(body)
        except ValueError as error:
            raise MalformedError(f"{uri} is not JSON") from error
        return parse_import_output(document, source=uri)
