"""Image sets, jobs and data stores as the API shows them.

Times are epoch seconds with milliseconds, which REST-JSON bodies carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from isocenter.devcloud.healthimaging.models import (
        Datastore,
        ImageSet,
        ImageSetVersion,
        ImportJob,
    )

__all__ = ["Summaries"]

_TAGS: Final = {
    "DICOMPatientId": ("Patient", "PatientID"),
    "DICOMPatientName": ("Patient", "PatientName"),
    "DICOMPatientBirthDate": ("Patient", "PatientBirthDate"),
    "DICOMPatientSex": ("Patient", "PatientSex"),
    "DICOMStudyInstanceUID": ("Study", "StudyInstanceUID"),
    "DICOMStudyId": ("Study", "StudyID"),
    "DICOMStudyDescription": ("Study", "StudyDescription"),
    "DICOMAccessionNumber": ("Study", "AccessionNumber"),
    "DICOMStudyDate": ("Study", "StudyDate"),
    "DICOMStudyTime": ("Study", "StudyTime"),
    "DICOMSeriesInstanceUID": ("Series", "SeriesInstanceUID"),
    "DICOMSeriesModality": ("Series", "Modality"),
    "DICOMSeriesBodyPart": ("Series", "BodyPartExamined"),
}
# The service model's own limits, for attributes that imports do not check.
_MAX_LENGTHS: Final = {"DICOMSeriesModality": 32, "DICOMSeriesBodyPart": 128}
_MAX_SERIES_NUMBER: Final = 2**31 - 1
_TIER: Final = "FREQUENT_ACCESS"


class Summaries:
    """Builds the answers' structures for one account and region."""

    def __init__(self, account_id: str, region: str) -> None:
        self._arn = f"arn:aws:medical-imaging:{region}:{account_id}:datastore"

    def datastore(self, store: Datastore, now: float) -> dict[str, Any]:
        """DatastoreProperties."""
        asked = ("kmsKeyArn", "lambdaAuthorizerArn")
        return {
            **self.datastore_summary(store, now),
            **{name: store.request[name] for name in asked if store.request.get(name)},
            "losslessStorageFormat": store.storage_format,
        }

    def datastore_summary(self, store: Datastore, now: float) -> dict[str, Any]:
        """DatastoreSummary."""
        name = store.request.get("datastoreName") or f"datastore-{store.datastore_id}"
        return {
            "datastoreId": store.datastore_id,
            "datastoreName": name,
            "datastoreStatus": store.status(now),
            "datastoreArn": f"{self._arn}/{store.datastore_id}",
            "createdAt": _time(store.created_at),
            "updatedAt": _time(min(now, store.active_at)),
        }

    def started_job(self, job: ImportJob) -> dict[str, Any]:
        """StartDICOMImportJobResponse."""
        return {
            "datastoreId": job.datastore_id,
            "jobId": job.job_id,
            "jobStatus": job.status,
            "submittedAt": _time(job.submitted_at),
        }

    def job(self, job: ImportJob) -> dict[str, Any]:
        """DICOMImportJobProperties."""
        result = {
            **self.job_summary(job),
            "inputS3Uri": job.request["inputS3Uri"],
            "outputS3Uri": job.output_s3_uri,
        }
        if job.request.get("importConfiguration"):
            result["importConfiguration"] = job.request["importConfiguration"]
        return result

    def job_summary(self, job: ImportJob) -> dict[str, Any]:
        """DICOMImportJobSummary."""
        result = {
            "jobId": job.job_id,
            "jobName": job.name,
            "jobStatus": job.status,
            "datastoreId": job.datastore_id,
            "dataAccessRoleArn": job.request["dataAccessRoleArn"],
            "submittedAt": _time(job.submitted_at),
        }
        if job.ended_at is not None:
            result["endedAt"] = _time(job.ended_at)
        if job.message:
            result["message"] = job.message
        return result

    def image_set(
        self, image_set: ImageSet, version: ImageSetVersion
    ) -> dict[str, Any]:
        """GetImageSetResponse."""
        base = f"{self._arn}/{image_set.datastore_id}"
        return {
            **self._version(image_set, version),
            "datastoreId": image_set.datastore_id,
            "imageSetWorkflowStatus": version.workflow_status,
            "imageSetArn": f"{base}/imageset/{image_set.image_set_id}",
            "lastAccessedAt": _time(version.updated_at),
            "storageTier": _TIER,
        }

    def version(self, image_set: ImageSet, version: ImageSetVersion) -> dict[str, Any]:
        """ImageSetProperties, whose workflow status alone starts with a capital."""
        return {
            **self._version(image_set, version),
            "ImageSetWorkflowStatus": version.workflow_status,
        }

    def _version(self, image_set: ImageSet, version: ImageSetVersion) -> dict[str, Any]:
        return {
            "imageSetId": image_set.image_set_id,
            "versionId": str(version.version),
            "imageSetState": "ACTIVE",
            "createdAt": _time(image_set.created_at),
            "updatedAt": _time(version.updated_at),
            "isPrimary": image_set.is_primary,
        }

    def search_result(
        self, image_set: ImageSet, every: Iterable[ImageSet]
    ) -> dict[str, Any]:
        """ImageSetsMetadataSummary; ``every`` set counts for the study's totals."""
        return {
            "imageSetId": image_set.image_set_id,
            "version": image_set.latest.version,
            "createdAt": _time(image_set.created_at),
            "updatedAt": _time(image_set.latest.updated_at),
            "lastAccessedAt": _time(image_set.latest.updated_at),
            "storageTier": _TIER,
            "DICOMTags": _tags(image_set, every),
            "isPrimary": image_set.is_primary,
        }


def _tags(image_set: ImageSet, every: Iterable[ImageSet]) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for name, (level, keyword) in _TAGS.items():
        value = image_set.levels[level].get(keyword)  # type: ignore[index] # the table names levels only
        if value is not None:
            tags[name] = str(value).strip()[: _MAX_LENGTHS.get(name)]
    number = _series_number(image_set.key.series_number)
    if number is not None:
        tags["DICOMSeriesNumber"] = number
    study = image_set.key.study_instance_uid
    same = [each for each in every if each.key.study_instance_uid == study]
    series = {each.key.series_instance_uid for each in same}
    tags["DICOMNumberOfStudyRelatedSeries"] = len(series)
    instances = sum(len(each.instances) for each in same)
    tags["DICOMNumberOfStudyRelatedInstances"] = instances
    return tags


def _series_number(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if abs(number) <= _MAX_SERIES_NUMBER else None


def _time(seconds: float) -> float:
    return round(seconds, 3)
