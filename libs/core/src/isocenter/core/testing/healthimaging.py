"""HealthImaging in memory: the client's methods, and faults that can be switched on.

Its errors are those that ``isocenter.core.healthimaging.client`` raises, which is to
say AWS's after translation. Nothing is sent anywhere.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from isocenter.core.errors import BusyError, DeniedError, NotFoundError
from isocenter.core.healthimaging.answers import FoundImageSet, ImageSetState, ImportJob
from isocenter.core.healthimaging.client import FrameBody
from isocenter.core.testing.image_sets import ImageSetContent, identifier

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_WALK = ("SUBMITTED", "IN_PROGRESS", "COMPLETED")


@dataclass
class _Held:
    states: dict[str, ImageSetState]
    contents: dict[str, ImageSetContent]
    latest: str
    updated_at: datetime


def _found(image_set_id: str, held: _Held) -> FoundImageSet:
    return FoundImageSet(
        image_set_id=image_set_id,
        version_id=held.latest,
        is_primary=held.states[held.latest].is_primary,
        updated_at=held.updated_at,
    )


class FakeHealthImaging:
    """Stands in for ``HealthImaging``, for one data store or many. Thread-safe.

    Attributes:
        calls: how often each method was called.
        most_frames_in_flight: largest number of frames read at the same time.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.most_frames_in_flight = 0
        self._lock = threading.Lock()
        self._in_flight = 0
        self._held: dict[tuple[str, str], _Held] = {}
        self._frames: dict[tuple[str, str, str], bytes] = {}
        self._locked: Counter[str] = Counter()
        self._denied: set[str] = set()
        self._throttled: Counter[str] = Counter()
        self._corrupt: Counter[str] = Counter()
        self._slow: dict[str, threading.Event] = {}
        self._jobs: dict[str, tuple[ImportJob, int]] = {}
        self._failing_jobs: str | None = None

    # What there is.

    def put(
        self,
        content: ImageSetContent,
        *,
        version_id: str = "1",
        is_primary: bool | None = True,
        status: str = "CREATED",
    ) -> str:
        """Hold a version of an image set; the one put last is the latest."""
        image_set_id = content.image_set_id
        datastore_id = str(content.metadata["DatastoreID"])
        state = ImageSetState(image_set_id, version_id, "ACTIVE", status, is_primary)
        with self._lock:
            key = (datastore_id, image_set_id)
            now = _EPOCH + timedelta(seconds=len(self._held))
            held = self._held.setdefault(key, _Held({}, {}, version_id, now))
            held.states[version_id] = state
            held.contents[version_id] = content
            held.latest = version_id
            for frame_id, body in content.frames.items():
                self._frames[datastore_id, image_set_id, frame_id] = body
        return image_set_id

    def remove(self, image_set_id: str) -> None:
        """Have no such image set any more."""
        with self._lock:
            self._held = {k: v for k, v in self._held.items() if k[1] != image_set_id}

    # Faults.

    def lock(self, image_set_id: str, *, times: int) -> None:
        """Answer GetImageSet with LOCKED so many times."""
        self._locked[image_set_id] = times

    def delete(self, image_set_id: str) -> None:
        """Answer GetImageSet with DELETED, as it is for a while after a delete."""
        with self._lock:
            for key, held in self._held.items():
                if key[1] == image_set_id:
                    held.states = {
                        v: replace(s, state="DELETED", workflow_status="DELETED")
                        for v, s in held.states.items()
                    }

    def deny(self, name: str) -> None:
        """Refuse access to an image set or a frame."""
        self._denied.add(name)

    def throttle(self, name: str, *, times: int) -> None:
        """Be busy so many times for an image set or a frame."""
        self._throttled[name] = times

    def corrupt(self, frame_id: str, *, times: int) -> None:
        """Answer a frame with a byte changed so many times."""
        self._corrupt[frame_id] = times

    def hold(self, frame_id: str) -> threading.Event:
        """Answer a frame only when the event that is returned is set."""
        return self._slow.setdefault(frame_id, threading.Event())

    def fail_imports(self, message: str) -> None:
        """End every import job in FAILED with this message."""
        self._failing_jobs = message

    # The client's methods.

    def image_set(
        self, datastore_id: str, image_set_id: str, version_id: str | None = None
    ) -> ImageSetState:
        """GetImageSet."""
        held = self._find("image_set", datastore_id, image_set_id)
        version = version_id or held.latest
        state = held.states.get(version)
        if state is None:
            raise _not_found(f"version {version} of image set {image_set_id}")
        if self._take(self._locked, image_set_id):
            return replace(state, state="LOCKED", workflow_status="UPDATING")
        return state

    def metadata(
        self, datastore_id: str, image_set_id: str, version_id: str
    ) -> dict[str, Any]:
        """GetImageSetMetadata."""
        held = self._find("metadata", datastore_id, image_set_id)
        if version_id not in held.contents:
            raise _not_found(f"version {version_id} of image set {image_set_id}")
        return held.contents[version_id].metadata

    def frame(
        self, datastore_id: str, image_set_id: str, frame_id: str
    ) -> tuple[FrameBody, str]:
        """GetImageFrame."""
        body = self.frame_bytes(datastore_id, image_set_id, frame_id)
        return BytesIO(body), "image/jph"

    def frame_bytes(self, datastore_id: str, image_set_id: str, frame_id: str) -> bytes:
        """GetImageFrame, read to its end."""
        with self._flight():
            self._find("frame", datastore_id, image_set_id)
            self._fault(frame_id)
            body = self._frames.get((datastore_id, image_set_id, frame_id))
            if body is None:
                raise _not_found(f"frame {frame_id} of image set {image_set_id}")
            if frame_id in self._slow:
                self._slow[frame_id].wait()
            if self._take(self._corrupt, frame_id):
                middle = len(body) * 3 // 4
                changed = bytes([body[middle] ^ 0x55])
                return body[:middle] + changed + body[middle + 1 :]
            return body

    def updated_between(
        self, datastore_id: str, start: datetime, end: datetime
    ) -> Iterator[FoundImageSet]:
        """SearchImageSets by updatedAt, oldest first."""
        self.calls["updated_between"] += 1
        found = [
            _found(key[1], held)
            for key, held in self._held.items()
            if key[0] == datastore_id and start <= held.updated_at <= end
        ]
        yield from sorted(found, key=lambda item: item.updated_at)

    def of_study(
        self, datastore_id: str, study_instance_uid: str
    ) -> Iterator[FoundImageSet]:
        """SearchImageSets by DICOMStudyInstanceUID."""
        self.calls["of_study"] += 1
        for (datastore, image_set_id), held in self._held.items():
            study = held.contents[held.latest].metadata["Study"]["DICOM"]
            if (datastore, study["StudyInstanceUID"]) == (
                datastore_id,
                study_instance_uid,
            ):
                yield _found(image_set_id, held)

    def start_import(
        self,
        *,
        datastore_id: str,
        client_token: str,
        role_arn: str,  # noqa: ARG002 - the client's signature
        input_s3_uri: str,
        output_s3_uri: str,
        job_name: str,  # noqa: ARG002 - the client's signature
    ) -> str:
        """StartDICOMImportJob; the same token gives the same job."""
        self.calls["start_import"] += 1
        self._fault(input_s3_uri)
        job_id = identifier("import job", datastore_id, client_token)
        output = f"{output_s3_uri.rstrip('/')}/{datastore_id}-DicomImport-{job_id}/"
        job = ImportJob(job_id, _WALK[0], output, None)
        with self._lock:
            self._jobs.setdefault(job_id, (job, 0))
        return job_id

    def import_job(self, datastore_id: str, job_id: str) -> ImportJob:
        """GetDICOMImportJob; each call sees the job one state further."""
        self.calls["import_job"] += 1
        with self._lock:
            if job_id not in self._jobs:
                raise _not_found(f"import job {job_id} of {datastore_id}")
            job, step = self._jobs[job_id]
            self._jobs[job_id] = (job, min(step + 1, len(_WALK) - 1))
        status = _WALK[step]
        if status == _WALK[-1] and self._failing_jobs is not None:
            return replace(job, status="FAILED", message=self._failing_jobs)
        return replace(job, status=status)

    def _find(self, method: str, datastore_id: str, image_set_id: str) -> _Held:
        with self._lock:
            self.calls[method] += 1
        self._fault(image_set_id)
        held = self._held.get((datastore_id, image_set_id))
        if held is None:
            raise _not_found(f"image set {image_set_id} of {datastore_id}")
        return held

    def _fault(self, name: str) -> None:
        if name in self._denied:
            raise DeniedError(
                f"could not read {name}: AccessDeniedException: denied",
                code="AccessDeniedException",
            )
        if self._take(self._throttled, name):
            raise BusyError(
                f"could not read {name}: ThrottlingException: rate exceeded",
                code="ThrottlingException",
            )

    def _take(self, counts: Counter[str], name: str) -> bool:
        with self._lock:
            if counts[name] <= 0:
                return False
            counts[name] -= 1
            return True

    @contextmanager
    def _flight(self) -> Iterator[None]:
        with self._lock:
            self._in_flight += 1
            self.most_frames_in_flight = max(
                self.most_frames_in_flight, self._in_flight
            )
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


def _not_found(what: str) -> NotFoundError:
    return NotFoundError(
        f"could not read {what}: ResourceNotFoundException: no such resource",
        code="ResourceNotFoundException",
    )
