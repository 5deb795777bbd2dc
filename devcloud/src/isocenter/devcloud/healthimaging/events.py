"""The events HealthImaging sends to EventBridge's default bus.

Documented shapes (EventBridge event reference, "AWS HealthImaging").  The
documentation writes ``detail.imagesetId``, the schema registry
``detail.imageSetId``: which of them we send can be switched.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from isocenter.devcloud.healthimaging.clients import Clients
    from isocenter.devcloud.healthimaging.models import (
        ImageSet,
        ImageSetVersion,
        ImportJob,
    )

__all__ = ["IMAGE_SET_KEYS", "SOURCE", "EventSender", "image_set_detail", "job_detail"]

SOURCE: Final = "aws.medical-imaging"
IMAGE_SET_KEYS: Final = ("imagesetId", "imageSetId")
_TRIES: Final = 3
_log = logging.getLogger(__name__)

_JOB_DETAIL_TYPES: Final = {
    "SUBMITTED": "Import Job Submitted",
    "IN_PROGRESS": "Import Job In Progress",
    "COMPLETED": "Import Job Completed",
    "FAILED": "Import Job Failed",
}
_IMAGE_SET_DETAIL_TYPES: Final = {
    "CREATED": "Image Set Created",
    "UPDATED": "Image Set Updated",
}


def job_detail(job: ImportJob) -> dict[str, Any]:
    """The detail of an ``Import Job ...`` event; outputS3Uri is the job's folder."""
    return {
        "imagingVersion": "1.0",
        "datastoreId": job.datastore_id,
        "jobId": job.job_id,
        "jobName": job.name,
        "jobStatus": job.status,
        "inputS3Uri": job.request["inputS3Uri"],
        "outputS3Uri": job.output_s3_uri,
    }


def image_set_detail(
    image_set: ImageSet, version: ImageSetVersion, key: str
) -> dict[str, Any]:
    """The detail of an ``Image Set ...`` event; the version is a string."""
    return {
        "imagingVersion": "1.0",
        "isPrimary": image_set.is_primary,
        "imageSetVersion": str(version.version),
        "datastoreId": image_set.datastore_id,
        key: image_set.image_set_id,
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": version.workflow_status,
    }


class EventSender:
    """Sends events by PutEvents, as often as it takes up to three times.

    An event that still fails is lost, as the service's own may be ("best
    effort"); the log says so.
    """

    def __init__(self, clients: Clients, account_id: str, region: str) -> None:
        self._clients = clients
        self._arn = f"arn:aws:medical-imaging:{region}:{account_id}:datastore"
        self.image_set_key = IMAGE_SET_KEYS[0]

    def job(self, job: ImportJob) -> None:
        """Tell of a job's new status."""
        resource = f"{self._arn}/{job.datastore_id}"
        self._send(_JOB_DETAIL_TYPES[job.status], resource, job_detail(job))

    def image_set(self, image_set: ImageSet, version: ImageSetVersion) -> None:
        """Tell of a new version of an image set."""
        base = f"{self._arn}/{image_set.datastore_id}"
        self._send(
            _IMAGE_SET_DETAIL_TYPES[version.workflow_status],
            f"{base}/imageset/{image_set.image_set_id}",
            image_set_detail(image_set, version, self.image_set_key),
        )

    def _send(self, detail_type: str, resource: str, detail: dict[str, Any]) -> None:
        entry = {
            "Time": datetime.now(tz=UTC),
            "Source": SOURCE,
            "Resources": [resource],
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
        }
        reason: object = None
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.2 * attempt)
            try:
                answer = self._clients.events.put_events(Entries=[entry])
            except (BotoCoreError, ClientError) as error:
                reason = error
                continue
            if not answer.get("FailedEntryCount"):
                return
            reason = answer["Entries"][0].get("ErrorCode")
        _log.error(
            "event lost", extra={"detail_type": detail_type, "reason": str(reason)}
        )
