"""HealthImaging's API: one function an operation, and the app that serves them.

Everything else of the service model answers 501 by name.  State is in memory
and is gone after a restart (see ``state``).

Assumed: an import role of another account is refused as IAM refuses to pass
it; a client token that is used again with other parameters is a conflict; an
image set stays ACTIVE while a job adds to it, and the new version appears at
once.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from isocenter.devcloud.healthimaging.clients import Clients
from isocenter.devcloud.healthimaging.controls import Faults, add_controls
from isocenter.devcloud.healthimaging.dicomweb.routes import add_dicomweb
from isocenter.devcloud.healthimaging.errors import (
    AccessDeniedError,
    ConflictError,
    ServiceQuotaExceededError,
)
from isocenter.devcloud.healthimaging.events import EventSender
from isocenter.devcloud.healthimaging.importing import Importer, JobLimits
from isocenter.devcloud.healthimaging.models import (
    Datastore,
    ImageSet,
    ImageSetVersion,
    ImportJob,
)
from isocenter.devcloud.healthimaging.paging import page
from isocenter.devcloud.healthimaging.protocol import (
    Operation,
    Payload,
    add_operations,
)
from isocenter.devcloud.healthimaging.search import (
    DEFAULT_SORT,
    matches,
    sort_value,
    validate_criteria,
)
from isocenter.devcloud.healthimaging.state import State
from isocenter.devcloud.healthimaging.summaries import Summaries
from isocenter.devcloud.healthimaging.transfer_syntaxes import content_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["Clients", "create_app"]

_MAX_ACTIVE_JOBS: Final = 100
_MAX_DATASTORES: Final = 100
_CREATING_SECONDS: Final = 0.5


def create_app(
    *,
    data_dir: Path,
    account_id: str,
    region: str,
    clients: Clients,
    limits: JobLimits | None = None,
) -> FastAPI:
    """The ASGI app of one account's HealthImaging in one region.

    Frames and metadata go below ``data_dir/healthimaging``, which is emptied.
    """
    state = State(data_dir / "healthimaging")
    events = EventSender(clients, account_id, region)
    importer = Importer(state, clients, events, limits or JobLimits())
    service = _Service(state, importer, account_id, region)
    faults = Faults()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        importer.start()
        yield
        importer.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    add_operations(
        app,
        {name: faults.wrap(name, call) for name, call in service.operations().items()},
    )
    add_dicomweb(app, state, faults)
    add_controls(app, events, faults)
    return app


class _Service:
    """The operations; each takes checked parameters and gives an answer."""

    def __init__(
        self, state: State, importer: Importer, account_id: str, region: str
    ) -> None:
        self._state = state
        self._importer = importer
        self._account_id = account_id
        self._show = Summaries(account_id, region)

    def operations(self) -> dict[str, Operation]:
        """The operations that are built, by name."""
        return {
            "CreateDatastore": self.create_datastore,
            "GetDatastore": self.get_datastore,
            "ListDatastores": self.list_datastores,
            "StartDICOMImportJob": self.start_import_job,
            "GetDICOMImportJob": self.get_import_job,
            "ListDICOMImportJobs": self.list_import_jobs,
            "SearchImageSets": self.search_image_sets,
            "GetImageSet": self.get_image_set,
            "GetImageSetMetadata": self.get_image_set_metadata,
            "GetImageFrame": self.get_image_frame,
            "ListImageSetVersions": self.list_image_set_versions,
        }

    def create_datastore(self, params: dict[str, Any]) -> dict[str, Any]:
        """The same token gives the same data store, whose id follows from it."""
        token = f"{self._account_id}{params['clientToken']}"
        datastore_id = hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()
        now = time.time()
        with self._state.lock:
            found = self._state.datastores.get(datastore_id)
            if found is None:
                if len(self._state.datastores) >= _MAX_DATASTORES:
                    raise ServiceQuotaExceededError(
                        f"The account has {_MAX_DATASTORES} data stores"
                    )
                found = Datastore(datastore_id, params, now, now + _CREATING_SECONDS)
                self._state.datastores[datastore_id] = found
        _same_request(found.request, params)
        return {"datastoreId": datastore_id, "datastoreStatus": found.status(now)}

    def get_datastore(self, params: dict[str, Any]) -> dict[str, Any]:
        """One data store's properties."""
        found = self._state.datastore(params["datastoreId"])
        return {"datastoreProperties": self._show.datastore(found, time.time())}

    def list_datastores(self, params: dict[str, Any]) -> dict[str, Any]:
        """Data stores, oldest first."""
        now, status = time.time(), params.get("datastoreStatus")
        stores = [
            each
            for each in list(self._state.datastores.values())
            if status in (None, each.status(now))
        ]
        chosen, token = page(
            stores,
            lambda each: each.datastore_id,
            params.get("maxResults"),
            params.get("nextToken"),
            status,
        )
        summaries = [self._show.datastore_summary(each, now) for each in chosen]
        return _paged({"datastoreSummaries": summaries}, token)

    def start_import_job(self, params: dict[str, Any]) -> dict[str, Any]:
        """Start a job; the same token answers with the job it started."""
        store = self._state.datastore(params["datastoreId"])
        self._check_role(params["dataAccessRoleArn"])
        if store.status(time.time()) != "ACTIVE":
            raise ConflictError(f"Datastore {store.datastore_id} is not ACTIVE")
        token = (store.datastore_id, params["clientToken"])
        with self._state.lock:
            known = self._state.job_tokens.get(token)
            if known is None:
                job = self._new_job(store, params)
                self._state.jobs[job.job_id] = job
                self._state.job_tokens[token] = job.job_id
            else:
                job = self._state.jobs[known]
                _same_request(job.request, params)
            answer = self._show.started_job(job)
        if known is None:
            self._importer.submit(job)
        return answer

    def get_import_job(self, params: dict[str, Any]) -> dict[str, Any]:
        """One job's properties."""
        job = self._state.job(params["datastoreId"], params["jobId"])
        return {"jobProperties": self._show.job(job)}

    def list_import_jobs(self, params: dict[str, Any]) -> dict[str, Any]:
        """A data store's jobs, newest first."""
        store = self._state.datastore(params["datastoreId"])
        status = params.get("jobStatus")
        jobs = [
            job
            for job in list(self._state.jobs.values())[::-1]
            if job.datastore_id == store.datastore_id and status in (None, job.status)
        ]
        chosen, token = page(
            jobs,
            lambda job: job.job_id,
            params.get("maxResults"),
            params.get("nextToken"),
            status,
        )
        return _paged(
            {"jobSummaries": [self._show.job_summary(job) for job in chosen]}, token
        )

    def search_image_sets(self, params: dict[str, Any]) -> dict[str, Any]:
        """The image sets that match, with their DICOM tags."""
        store = self._state.datastore(params["datastoreId"])
        criteria = params.get("searchCriteria") or {}
        validate_criteria(criteria)
        sort = criteria.get("sort") or DEFAULT_SORT
        every = self._state.image_sets(store.datastore_id)
        found = sorted(
            (each for each in every if matches(each, criteria)),
            key=lambda each: (sort_value(each, sort["sortField"]), each.image_set_id),
            reverse=sort["sortOrder"] == "DESC",
        )
        chosen, token = page(
            found,
            lambda each: each.image_set_id,
            params.get("maxResults"),
            params.get("nextToken"),
            criteria,
        )
        summaries = [self._show.search_result(each, every) for each in chosen]
        return _paged({"imageSetsMetadataSummaries": summaries, "sort": sort}, token)

    def get_image_set(self, params: dict[str, Any]) -> dict[str, Any]:
        """One version's properties."""
        image_set, version = self._version(params)
        return self._show.image_set(image_set, version)

    def get_image_set_metadata(self, params: dict[str, Any]) -> Payload:
        """One version's metadata: JSON, gzip."""
        image_set, version = self._version(params)
        members = {"contentType": "application/json", "contentEncoding": "gzip"}
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        path = self._state.metadata_path(image_set, version)
        return Payload("imageSetMetadataBlob", path, headers, members)

    def get_image_frame(self, params: dict[str, Any]) -> Payload:
        """One stored frame; always the whole of it, as in the real service."""
        image_set = self._state.image_set(params["datastoreId"], params["imageSetId"])
        frame_id = params["imageFrameInformation"]["imageFrameId"]
        transfer_syntax_uid, path = self._state.frame(image_set, frame_id)
        media_type = content_type(transfer_syntax_uid)
        return Payload(
            "imageFrameBlob",
            path,
            {"Content-Type": media_type},
            {"contentType": media_type},
        )

    def list_image_set_versions(self, params: dict[str, Any]) -> dict[str, Any]:
        """An image set's versions, newest first."""
        image_set = self._state.image_set(params["datastoreId"], params["imageSetId"])
        chosen, token = page(
            image_set.versions[::-1],
            lambda version: str(version.version),
            params.get("maxResults"),
            params.get("nextToken"),
        )
        versions = [self._show.version(image_set, each) for each in chosen]
        return _paged({"imageSetPropertiesList": versions}, token)

    def _version(self, params: dict[str, Any]) -> tuple[ImageSet, ImageSetVersion]:
        image_set = self._state.image_set(params["datastoreId"], params["imageSetId"])
        return image_set, self._state.version(image_set, params.get("versionId"))

    def _new_job(self, store: Datastore, params: dict[str, Any]) -> ImportJob:
        active = sum(
            job.datastore_id == store.datastore_id
            and job.status in ("SUBMITTED", "IN_PROGRESS")
            for job in self._state.jobs.values()
        )
        if active >= _MAX_ACTIVE_JOBS:
            raise ServiceQuotaExceededError(
                f"Datastore {store.datastore_id} has {_MAX_ACTIVE_JOBS} running jobs"
            )
        job_id = uuid.uuid4().hex
        base = params["outputS3Uri"].rstrip("/")
        return ImportJob(
            job_id=job_id,
            datastore_id=store.datastore_id,
            request=params,
            output_s3_uri=f"{base}/{store.datastore_id}-DicomImport-{job_id}/",
            submitted_at=time.time(),
        )

    def _check_role(self, role_arn: str) -> None:
        account = role_arn.split(":")[4]
        if account != self._account_id:
            raise AccessDeniedError(
                f"The role is of account {account}, a role of account "
                f"{self._account_id} is needed: cross-account pass role is not allowed"
            )


def _same_request(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    if earlier != now:
        raise ConflictError("The clientToken was used with other parameters")


def _paged(answer: dict[str, Any], token: str | None) -> dict[str, Any]:
    return answer if token is None else {**answer, "nextToken": token}
