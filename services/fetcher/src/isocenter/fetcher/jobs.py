"""The service's jobs: accepted, queued, run, and taken up again after a restart.

One replica runs the jobs of a prefix. A second one would do no harm, as outputs are
deterministic, but it would fetch the same frames once more.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from isocenter.core.dataset import MANIFEST_NAME, DatasetManifest, parse_dataset
from isocenter.core.errors import AwsError, IsocenterError, MalformedError
from isocenter.fetcher import metrics
from isocenter.fetcher.dataset import FetchOptions, check_complete, fetch_dataset
from isocenter.fetcher.download import FrameDownloader
from isocenter.fetcher.errors import (
    DecoderLostError,
    IncompleteError,
    InterruptedFetchError,
    UsageError,
)
from isocenter.fetcher.job_record import (
    DatasetOrder,
    JobProgress,
    JobRecord,
    JobResult,
    parse_job,
    submitted,
)
from isocenter.fetcher.progress import Progress
from isocenter.fetcher.splits import policy

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""Times a job is tried by itself after a failure that may pass."""
_RECOVER_PAUSE = 5.0


class QueueFullError(IsocenterError):
    """As many jobs wait as may."""

    retryable = True


class OutputInUseError(IsocenterError):
    """Another job is writing its dataset to the same prefix."""

    retryable = True


class ObjectStore(Protocol):
    """What the jobs need of ``objects.Objects``."""

    def find(self, uri: str) -> bytes | None:
        """An object's bytes, None if there is no such object."""

    def write(self, uri: str, body: bytes) -> None:
        """PutObject; durable when it returns."""

    def upload(self, uri: str, path: Path) -> None:
        """Upload a file; durable when it returns."""

    def delete(self, uri: str) -> None:
        """DeleteObject; what is not there is deleted too."""

    def names(self, uri: str) -> Iterable[str]:
        """Keys below a prefix, without the prefix."""


class JobStore:
    """Job records in S3.

    Args:
        objects: S3.
        prefix: URI that records lie below, ending in /.
    """

    def __init__(self, objects: ObjectStore, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix

    def find(self, job_id: str) -> JobRecord | None:
        """The record of a job."""
        uri = f"{self._prefix}{job_id}.json"
        body = self._objects.find(uri)
        return None if body is None else parse_job(body, source=uri)

    def save(self, record: JobRecord) -> None:
        """Store a record; its mark is there as long as it has not ended."""
        mark = f"{self._prefix}open/{record.id}"
        if not record.ended:
            self._objects.write(mark, b"")
        self._objects.write(f"{self._prefix}{record.id}.json", record.to_json())
        if record.ended:
            self._objects.delete(mark)

    def open_jobs(self) -> list[JobRecord]:
        """Jobs that have not ended, oldest first."""
        found: list[JobRecord] = []
        for name in list(self._objects.names(f"{self._prefix}open/")):
            try:
                record = self.find(name)
            except MalformedError as error:
                log.error("a job record is left alone", extra={"error": str(error)})  # noqa: TRY400 - the record's text is all there is to know
                continue
            if record is None or record.ended:
                # Killed before the record was written, or before the mark was removed.
                self._objects.delete(f"{self._prefix}open/{name}")
            else:
                found.append(record)
        return sorted(found, key=lambda record: record.submitted_at)


class Jobs:
    """Runs jobs, a bounded number at a time.

    Args:
        objects: S3, for outputs.
        store: job records.
        downloader: shared by all jobs, so that its memory bound holds for all.
        options: how datasets are made.
        work_dir: datasets are built below it and removed after the upload.
        concurrent: jobs at a time.
        max_queued: waiting jobs beyond which a new one is refused.
    """

    def __init__(
        self,
        objects: ObjectStore,
        store: JobStore,
        *,
        downloader: FrameDownloader,
        options: FetchOptions,
        work_dir: Path,
        concurrent: int,
        max_queued: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._objects = objects
        self._store = store
        self._downloader = downloader
        self._options = options
        self._work_dir = work_dir
        self._max_queued = max_queued
        self._now = now
        self._submitting = threading.Lock()
        self._lock = threading.Lock()
        self._records: dict[str, JobRecord] = {}
        self._progress: dict[str, Progress] = {}
        self._recovered = threading.Event()
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(concurrent, thread_name_prefix="job")
        self._recovery = threading.Thread(
            target=self._recover, name="recovery", daemon=True
        )

    def start(self) -> None:
        """Take up the jobs that an earlier process left, in the background."""
        self._recovery.start()

    def close(self) -> None:
        """End running jobs; they stay open in S3 and the next process takes them up."""
        self._closed.set()
        self._downloader.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def dead(self) -> str | None:
        """Why the process should be restarted, None if it is well."""
        if self._downloader.lost:
            return "a decoding process was killed"
        return None

    @property
    def not_ready(self) -> str | None:
        """Why no job can be taken now, None if it can."""
        if self._closed.is_set():
            return "shutting down"
        if not self._recovered.is_set():
            return "job records have not been read yet"
        return self.dead

    def submit(self, order: DatasetOrder) -> JobRecord:
        """Accept an order; durable when it returns. The same order is the same job.

        Raises:
            QueueFullError: too many jobs wait.
            OutputInUseError: another job writes to the same prefix.
            AwsError: the record could not be stored.
        """
        with self._submitting:
            earlier = self._records.get(order.job_id) or self._store.find(order.job_id)
            record = submitted(order, earlier, self._now())
            if record is earlier and (record.ended or record.id in self._records):
                return record
            with self._lock:
                others = [r for r in self._records.values() if r.id != record.id]
                waiting = sum(r.status == "Queued" for r in self._records.values())
            if any(other.order.output("") == order.output("") for other in others):
                raise OutputInUseError(
                    f"{order.output('')} is being written by another job: choose an "
                    "empty prefix, or ask again when that job has ended"
                )
            if waiting >= self._max_queued:
                raise QueueFullError(f"{waiting} jobs wait already; ask again later")
            self._store.save(record)
            with self._lock:
                self._enqueue(record)
        return record

    def find(self, job_id: str) -> JobRecord | None:
        """A job as it stands, with progress if it runs here."""
        with self._lock:
            record = self._records.get(job_id)
            progress = self._progress.get(job_id)
        if record is None:
            return self._store.find(job_id)
        if progress is None:
            return record
        return record.model_copy(update={"progress": _progress(progress)})

    def _recover(self) -> None:
        while not self._closed.is_set():
            try:
                # Not while an order is half stored: its mark would be taken for
                # a leaving and removed.
                with self._submitting:
                    records = self._store.open_jobs()
            except AwsError as error:
                log.warning("job records can't be read", extra={"error": str(error)})
                self._closed.wait(_RECOVER_PAUSE)
                continue
            with self._lock:
                for record in records:
                    if record.id not in self._records:
                        log.info("job is taken up again", extra={"job_id": record.id})
                        self._enqueue(record)
            self._recovered.set()
            return

    def _enqueue(self, record: JobRecord) -> None:
        """Queue a job; the caller holds the lock."""
        self._note(record.model_copy(update={"status": "Queued"}))
        try:
            self._threads.submit(self._run, record.id)
        except RuntimeError:
            # Closed in this very moment: the record is stored, the next process has it.
            log.info("job is left to the next process", extra={"job_id": record.id})

    def _note(self, record: JobRecord) -> None:
        """Keep a record until it ended; the caller holds the lock."""
        if record.ended:
            self._records.pop(record.id, None)
            self._progress.pop(record.id, None)
        else:
            self._records[record.id] = record
        for status in ("Queued", "Running"):
            count = sum(r.status == status for r in self._records.values())
            metrics.JOBS.labels(status).set(count)

    def _save(self, record: JobRecord) -> None:
        self._store.save(record)
        with self._lock:
            self._note(record)

    def _run(self, job_id: str) -> None:
        record = self._records[job_id].model_copy(
            update={"status": "Running", "started_at": self._now()}
        )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._save(record)
                ended = self._ended(record, self._make(record.order, job_id))
                self._save(ended)
                log.info("job succeeded", extra={"job_id": job_id})
                return
            except (InterruptedFetchError, DecoderLostError):
                # Stays open in S3: the next process takes it up.
                log.info("job is left to the next process", extra={"job_id": job_id})
                return
            except AwsError as error:
                if error.retryable and attempt < _ATTEMPTS:
                    log.warning(
                        "job is tried again",
                        extra={"job_id": job_id, "error": str(error)},
                    )
                    if self._closed.wait(_RECOVER_PAUSE * attempt):
                        return
                    continue
                self._fail(record, error)
                return
            except Exception as error:  # noqa: BLE001 - one job's failure must not end the thread
                self._fail(record, error)
                return

    def _fail(self, record: JobRecord, error: Exception) -> None:
        known = isinstance(error, (IsocenterError, OSError))
        # The text of an unforeseen error may quote what it stumbled over.
        message = str(error) if known else f"unexpected {type(error).__name__}"
        log.error("job failed: %s", message, extra={"job_id": record.id})
        progress = self._progress.get(record.id)
        failed = record.model_copy(
            update={
                "status": "Failed",
                "ended_at": self._now(),
                "message": message,
                "progress": _progress(progress) if progress else record.progress,
                "omissions": getattr(error, "omissions", ())
                if isinstance(error, IncompleteError)
                else (),
            }
        )
        # While S3 is away nothing else can be done either; a job must not be left
        # Running for ever in its record.
        while not self._closed.is_set():
            try:
                self._save(failed)
                return
            except AwsError as unsaved:
                log.error("job record can't be stored", extra={"error": str(unsaved)})  # noqa: TRY400 - the translated text is all there is to know
                if not unsaved.retryable:
                    break
            self._closed.wait(_RECOVER_PAUSE)
        # Still open in S3, so it is run again after a restart; here it ends.
        with self._lock:
            self._note(failed)

    def _ended(self, record: JobRecord, manifest: DatasetManifest) -> JobRecord:
        progress = self._progress.get(record.id)
        return record.model_copy(
            update={
                "status": "Succeeded",
                "ended_at": self._now(),
                "progress": _progress(progress) if progress else record.progress,
                "omissions": manifest.omissions,
                "result": JobResult(
                    manifest_s3_uri=record.order.output(MANIFEST_NAME),
                    image_sets=len(manifest.image_sets),
                    arrays=sum(len(e.arrays) for e in manifest.image_sets),
                    digest=manifest.digest,
                ),
            }
        )

    def _make(self, order: DatasetOrder, job_id: str) -> DatasetManifest:
        """Build the dataset and upload it, manifest last."""
        uploaded = self._uploaded(order)
        if uploaded is not None:
            # Another order may have allowed omissions that this one does not.
            check_complete(uploaded, allow_omissions=order.allow_omissions)
            return uploaded
        directory = self._work_dir / job_id
        try:
            manifest = fetch_dataset(
                order.request,
                directory,
                downloader=self._downloader,
                options=self._options,
                allow_omissions=order.allow_omissions,
                on_start=lambda progress: self._progress.__setitem__(job_id, progress),
            )
            for entry in manifest.image_sets:
                for array in entry.arrays:
                    self._objects.upload(
                        order.output(array.path), directory / array.path
                    )
            self._objects.write(order.output(MANIFEST_NAME), manifest.to_json())
            return manifest
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _uploaded(self, order: DatasetOrder) -> DatasetManifest | None:
        """The dataset if its manifest is in S3 already.

        Raises:
            UsageError: the manifest there is of another request.
        """
        uri = order.output(MANIFEST_NAME)
        body = self._objects.find(uri)
        if body is None:
            return None
        manifest = parse_dataset(body, source=uri)
        split = self._options.split
        if (
            manifest.datastore_id != order.datastore_id
            or manifest.requested != order.image_sets
            or manifest.splits != policy(split.salt, split.ratios)
        ):
            raise UsageError(
                f"{uri} is of another request or another split: choose an empty prefix"
            )
        return manifest


def _progress(progress: Progress) -> JobProgress:
    return JobProgress(**vars(progress.reached))
