"""DICOM import jobs, from the list of objects to the Completed event.

SUBMITTED -> IN_PROGRESS -> COMPLETED or FAILED.  A job completes even when
files fail; it fails when the prefix is empty or unreadable, the output cannot
be written, or a quota of the service is exceeded.  The order at the end is:
image sets with their events, then the ndjson files, then the manifest, then
the job's last event.  Nothing is resumed after a restart (see ``state``).

Assumed: folder markers and empty objects not named ``.dcm`` are not scanned,
since such a marker below the input prefix is harmless in production; failures
of whole jobs leave no manifest.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import threading
import time
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from isocenter.devcloud.healthimaging.grouping import SeriesKey
from isocenter.devcloud.healthimaging.instances import (
    ConvertedInstance,
    InvalidInstanceError,
    convert,
)
from isocenter.devcloud.healthimaging.outcome import (
    FileFailure,
    ImageSetOutcome,
    ImportedFile,
    JobOutcome,
)

if TYPE_CHECKING:
    from pathlib import Path

    from isocenter.devcloud.healthimaging.clients import Clients
    from isocenter.devcloud.healthimaging.events import EventSender
    from isocenter.devcloud.healthimaging.models import ImportJob
    from isocenter.devcloud.healthimaging.state import State

__all__ = ["Importer", "JobLimits"]

_WORKERS: Final = 2
_JOBS_AT_ONCE: Final = 4
_S3_ERRORS: Final = (ClientError, BotoCoreError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobLimits:
    """Service quotas of one job, and how long a job stays SUBMITTED (seconds)."""

    files: int = 5_000
    total_bytes: int = 10 * 1024**3
    submitted_seconds: float = 0.5


class _JobFailedError(Exception):
    """The whole job fails; the text is the job's message."""


class Importer:
    """Runs import jobs in threads, their conversions in worker processes."""

    def __init__(
        self, state: State, clients: Clients, events: EventSender, limits: JobLimits
    ) -> None:
        self._state = state
        self._clients = clients
        self._events = events
        self._limits = limits
        self._jobs = ThreadPoolExecutor(_JOBS_AT_ONCE, "import-job")
        self._workers = _Workers()

    def start(self) -> None:
        """Start the worker processes ahead of the first job."""
        self._workers.start()

    def submit(self, job: ImportJob) -> None:
        """Start a job that is known to ``state`` already."""
        self._jobs.submit(self._run, job)

    def close(self) -> None:
        """Stop; running jobs end after the file at hand."""
        self._jobs.shutdown(wait=False, cancel_futures=True)
        self._workers.close()

    def _run(self, job: ImportJob) -> None:
        try:
            self._events.job(job)
            time.sleep(self._limits.submitted_seconds)
            self._enter(job, "IN_PROGRESS")
            self._import(job)
            self._enter(job, "COMPLETED")
        except _JobFailedError as error:
            self._enter(job, "FAILED", str(error))
        except Exception:  # noqa: BLE001 - the edge of a thread: the job must end
            _log.exception("import job failed", extra={"job_id": job.job_id})
            self._enter(job, "FAILED", "Internal server error")
        finally:
            shutil.rmtree(self._state.staging(job.job_id), ignore_errors=True)

    def _enter(self, job: ImportJob, status: str, message: str | None = None) -> None:
        with self._state.lock:
            job.status = status
            job.message = message
            if status in ("COMPLETED", "FAILED"):
                job.ended_at = time.time()
        self._events.job(job)

    def _import(self, job: ImportJob) -> None:
        bucket, keys = self._scan(job)
        self._check_output(job)
        outcome = JobOutcome()
        converted: list[tuple[str, SeriesKey, ConvertedInstance]] = []
        for key, result in self._convert(job, bucket, keys):
            if isinstance(result, FileFailure):
                outcome.failures.append(result)
            else:
                converted.append((key, SeriesKey.of(result.levels), result))
        self._group(job, converted, outcome)
        self._write(job, outcome)

    def _scan(self, job: ImportJob) -> tuple[str, list[str]]:
        bucket, prefix = _split(job.request["inputS3Uri"])
        keys: list[str] = []
        total = 0
        try:
            pages = self._clients.s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    key, size = item["Key"], item["Size"]
                    if key.endswith("/") or (size == 0 and not key.endswith(".dcm")):
                        continue
                    keys.append(key)
                    total += size
        except _S3_ERRORS as error:
            raise _JobFailedError(f"Cannot list the input: {_reason(error)}") from error
        if not keys:
            raise _JobFailedError("The input prefix holds no files")
        if len(keys) > self._limits.files:
            raise _JobFailedError(
                f"The input holds {len(keys)} files, a job imports at most "
                f"{self._limits.files}"
            )
        if total > self._limits.total_bytes:
            raise _JobFailedError(
                f"The input holds {total} bytes, a job imports at most "
                f"{self._limits.total_bytes}"
            )
        return bucket, keys

    def _check_output(self, job: ImportJob) -> None:
        bucket, _ = _split(job.output_s3_uri)
        try:
            self._clients.s3.head_bucket(Bucket=bucket)
        except _S3_ERRORS as error:
            raise _JobFailedError(f"Cannot use the output: {_reason(error)}") from error

    def _convert(self, job: ImportJob, bucket: str, keys: list[str]) -> Any:
        """(key, ConvertedInstance or FileFailure) for each object, in their order.

        At most one object a worker, and one that waits, is on disk at a time.
        """
        staging = self._state.staging(job.job_id)
        storage_format = self._state.datastore(job.datastore_id).storage_format
        running: deque[tuple[str, Path, Path, Future[ConvertedInstance]]] = deque()
        for number, key in enumerate(keys):
            path, directory = staging / f"{number}.dcm", staging / str(number)
            try:
                body = self._clients.s3.get_object(Bucket=bucket, Key=key)["Body"]
                with path.open("wb") as file:
                    shutil.copyfileobj(body, file)
            except _S3_ERRORS as error:
                message = f"Cannot read the object: {_reason(error)}"
                future: Future[ConvertedInstance] = Future()
                future.set_exception(InvalidInstanceError(message))
            else:
                future = self._workers.submit(path, directory, storage_format)
            running.append((key, path, directory, future))
            if len(running) > _WORKERS:
                yield self._finished(*running.popleft(), storage_format)
        while running:
            yield self._finished(*running.popleft(), storage_format)

    def _finished(
        self,
        key: str,
        path: Path,
        directory: Path,
        future: Future[ConvertedInstance],
        storage_format: str,
    ) -> tuple[str, ConvertedInstance | FileFailure]:
        try:
            return key, self._workers.result(future, path, directory, storage_format)
        except InvalidInstanceError as error:
            return key, FileFailure(key, str(error))
        except BrokenProcessPool:
            message = "The file brought down its decoder"
        except Exception as error:  # noqa: BLE001 - one file never fails a job
            message = f"Internal error ({type(error).__name__})"
        finally:
            path.unlink(missing_ok=True)
        _log.warning("file not imported", extra={"job_id": path.parent.name})
        return key, FileFailure(key, message, server_error=True)

    def _group(
        self,
        job: ImportJob,
        converted: list[tuple[str, SeriesKey, ConvertedInstance]],
        outcome: JobOutcome,
    ) -> None:
        instances = [(key, instance) for _, key, instance in converted]
        added = self._state.add(job.datastore_id, instances)
        for image_set, version, positions in added:
            uids = {converted[each][2].sop_instance_uid for each in positions}
            outcome.image_sets.append(
                ImageSetOutcome(
                    image_set.image_set_id,
                    version.version,
                    image_set.is_primary,
                    len(uids),
                )
            )
            outcome.imported += [
                ImportedFile(
                    converted[each][0],
                    image_set.image_set_id,
                    converted[each][2].warnings,
                )
                for each in positions
            ]
            self._events.image_set(image_set, version)

    def _write(self, job: ImportJob, outcome: JobOutcome) -> None:
        bucket, prefix = _split(job.output_s3_uri)
        files = outcome.files(
            job_id=job.job_id,
            datastore_id=job.datastore_id,
            input_s3_uri=job.request["inputS3Uri"],
            output_s3_uri=job.output_s3_uri,
        )
        try:
            for name, content in files:
                self._clients.s3.put_object(
                    Bucket=bucket, Key=prefix + name, Body=content
                )
        except _S3_ERRORS as error:
            message = f"Cannot write the output: {_reason(error)}"
            raise _JobFailedError(message) from error


class _Workers:
    """A process pool that is made anew when a file brought it down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        with self._lock:
            if self._pool is None:
                self._pool = _pool(_WORKERS)
            # A worker starts with each call that finds none idle.
            for _ in range(_WORKERS):
                self._pool.submit(int)

    def submit(
        self, path: Path, directory: Path, storage_format: str
    ) -> Future[ConvertedInstance]:
        with self._lock:
            if self._pool is None:
                self._pool = _pool(_WORKERS)
            try:
                return self._pool.submit(convert, path, directory, storage_format)
            except BrokenProcessPool:
                self._pool = _pool(_WORKERS)
                return self._pool.submit(convert, path, directory, storage_format)

    def result(
        self,
        future: Future[ConvertedInstance],
        path: Path,
        directory: Path,
        storage_format: str,
    ) -> ConvertedInstance:
        """The result; a file that was in a broken pool gets one more try, alone."""
        try:
            return future.result()
        except BrokenProcessPool:
            shutil.rmtree(directory, ignore_errors=True)
            with _pool(1) as alone:
                return alone.submit(convert, path, directory, storage_format).result()

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forking a process that runs threads can deadlock; spawning cannot.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet)


def _quiet() -> None:
    # pydicom logs each failed decoder with its traceback; the outcome says it.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _split(s3_uri: str) -> tuple[str, str]:
    parts = urlsplit(s3_uri, allow_fragments=False)
    return parts.netloc, s3_uri.removeprefix(f"s3://{parts.netloc}").lstrip("/")


def _reason(error: Exception) -> str:
    """The error's code: its text may hold characters a job message may not."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__
