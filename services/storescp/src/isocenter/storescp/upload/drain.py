"""Moves the spool to S3: threads that carry out tasks until there are none.

S3 may be away for hours: a task that fails is put back with a growing delay and
nothing is given up, because the instance is acknowledged and exists nowhere else.
What S3 refuses for good goes to quarantine, so that its batch need not wait for it.
"""

import hashlib
import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from isocenter.core.batch import BatchManifest, StoredInstance
from isocenter.core.errors import AwsError, IsocenterError, MalformedError, RefusedError
from isocenter.storescp import metrics
from isocenter.storescp.quarantine.entry import ACKNOWLEDGED, Reason
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.backlog import Backlog, Task
from isocenter.storescp.store.batcher import Batcher
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.store.spool import Spool
from isocenter.storescp.store.takeover import to_ask_for
from isocenter.storescp.upload.direct import FilePut
from isocenter.storescp.upload.gate import Gate
from isocenter.storescp.upload.instances import InstanceObjects
from isocenter.storescp.upload.noting import Noting
from isocenter.storescp.upload.recall import recall
from isocenter.storescp.upload.uploader import Uploader

log = logging.getLogger(__name__)

_REFUSALS = 8
"""Refusals for good before an instance is set aside: with the delays between them a
minute, in which a bucket's policy or key that was changed by mistake may be mended;
most such mistakes are answered 403 or 404, which never count."""


class Drain:
    """Worker threads between the spool and S3.

    Args:
        spool, batcher: of the worker.
        work: what is to be done.
        uploader: to S3.
        threads: how many.
        gzip_level: of batches that are compressed.
        quarantine_bucket: for what can't be stored.
        quarantine_prefix: of its keys, ending in ``/``.
    """

    def __init__(
        self,
        spool: Spool,
        batcher: Batcher,
        work: Backlog,
        uploader: Uploader,
        *,
        threads: int,
        quarantine_bucket: str,
        quarantine_prefix: str,
        gzip_level: int = 5,
    ) -> None:
        self._spool = spool
        self._batcher = batcher
        self._work = work
        self._uploader = uploader
        self._quarantine_bucket = quarantine_bucket
        self._quarantine_prefix = quarantine_prefix
        # What is compressed lies in the folder whose leftovers a start removes.
        self._objects = InstanceObjects(
            uploader, spool.incoming, gzip_level=gzip_level, patient=False
        )
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._gate = Gate(patience=2 * threads)
        self._gate_lock = threading.Lock()
        self._stopping = threading.Event()
        self._noting = Noting(spool, self._noted)
        self._threads = [
            threading.Thread(target=self._run, name=f"drain-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        self._noting.start()
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether every thread is running."""
        return self._noting.alive() and all(t.is_alive() for t in self._threads)

    def stop(self, timeout_s: float) -> bool:
        """Wait until everything is in S3, then end the threads.

        Returns:
            False if something was left on the volume when ``timeout_s`` had passed;
            the next process takes it up.
        """
        deadline = time.monotonic() + timeout_s
        self._stopping.set()  # nobody waits at the gate any more
        self._work.hurry()
        empty = self._work.wait_empty(timeout_s)
        self._work.close()
        for thread in self._threads:
            if thread.is_alive():  # or was never started
                thread.join(max(0.0, deadline - time.monotonic()))
        self._noting.stop(max(0.0, deadline - time.monotonic()))
        return empty

    def _run(self) -> None:
        while (task := self._work.take()) is not None:
            try:
                closed_s = self._gate.wait_s(time.monotonic())
                if closed_s:
                    self._stopping.wait(closed_s)
                put = self._carry_out(task)
            except Exception as error:  # noqa: BLE001 - a thread that dies stops the drain; the task is kept
                self._noted(task, error)
                continue
            with self._gate_lock:
                if self._gate.succeeded():
                    log.info("S3 takes objects again")
            if put is None:
                self._noted(task, None)
                if task.kind == "instance":  # it was set aside, or is gone
                    self._batcher.forget(task.batch, SpoolName.parse(task.name))
            else:
                self._noting.add(task, put)

    def _noted(self, task: Task, failure: Exception | None) -> None:
        """A task came to its end, or is to be done again."""
        if failure is not None:
            self._failed(task, failure)
            return
        metrics.uploads(task.kind, "put").inc()
        if task.kind == "instance":
            self._batcher.put_done(task.batch)
        self._work.done(task)

    def _failed(self, task: Task, error: Exception) -> None:
        metrics.uploads(task.kind, "failed").inc()
        closed_s = 0.0
        if isinstance(error, AwsError) and not isinstance(error, RefusedError):
            with self._gate_lock:
                closed_s = self._gate.failed(time.monotonic())
        delay = self._work.put_back(task)
        expected = isinstance(error, (AwsError, OSError))
        log.warning(
            "%s not in S3 yet, next try in %.1f s",
            task.kind,
            max(delay, closed_s),
            exc_info=None if expected else error,
            extra={
                "batch": task.batch,
                "key": task.name,
                "attempt": task.attempt + 1,
                "error": str(error),
            },
        )

    def _carry_out(self, task: Task) -> StoredInstance | None:
        """Do one task; doing it twice does no harm.

        Returns:
            The record of what S3 has now and is to be noted, None if there is none.

        Raises:
            AwsError: S3 did not take the object.
            OSError: the volume's.
        """
        if task.kind == "manifest":
            self._seal(task.batch)
        elif task.kind == "quarantine":
            self._put_quarantined(task.batch, task.name)
        else:
            return self._instance(task)
        return None

    def _instance(self, task: Task) -> StoredInstance | None:
        place = (task.batch, task.name)
        put = None
        try:
            put = self._put_instance(task)
        except RefusedError as error:
            self._refusals[place] += 1
            if self._refusals[place] < _REFUSALS:
                raise
            self._set_aside(*place, error)
        except (MalformedError, StoreRefusedError) as error:  # the file can't be read
            self._set_aside(*place, error)
        self._refusals.pop(place, None)
        return put

    def _set_aside(self, batch: str, name: str, error: IsocenterError) -> None:
        """S3 will never take it, or it can't be read: the batch goes on without it."""
        known = SpoolName.parse(name)
        path = Path(self._spool.path(batch, name))
        intact = _sha256_of(path) == known.sha256
        reason = Reason.REFUSED if intact else Reason.DAMAGED
        log.error(
            "an acknowledged instance can't be stored: it goes to quarantine",
            extra={"batch": batch, "reason": reason, "error": str(error)},
        )
        self._spool.put_aside(
            batch,
            name,
            reason,
            {
                "receivedAt": datetime.fromtimestamp(
                    path.stat().st_mtime, UTC
                ).isoformat(),
                "callingAE": known.calling_ae,
                "sopInstanceUid": known.sop_instance_uid,
                "batch": batch,
                "errorCode": error.code if isinstance(error, AwsError) else "",
            },
        )

    def _put_quarantined(self, reason: str, sha256: str) -> None:
        """Put bytes, then the document that says why; then give the space back."""
        path, document = self._spool.quarantine.files(reason, sha256)
        if path.exists():
            key = f"{self._quarantine_prefix}{reason}/{sha256}"
            bucket = self._quarantine_bucket
            # What is damaged is not what its name says.
            actual = _sha256_of(path) if reason == Reason.DAMAGED else sha256
            self._uploader.put_file(
                FilePut(bucket, f"{key}.dcm", path, actual), patient=False
            )
            if document.exists():
                record = document.read_bytes()
                self._uploader.put_document(bucket, f"{key}.json", record)
            elif not self._uploader.has(bucket, f"{key}.json"):
                record = self._spool.quarantine.new_record(reason, sha256)
                self._uploader.put_document(bucket, f"{key}.json", record)
            metrics.QUARANTINED.labels(reason, "put").inc()
        self._spool.quarantine.remove(reason, sha256)

    def _put_instance(self, task: Task) -> StoredInstance | None:
        batch, name = task.batch, task.name
        path = self._spool.path(batch, name)
        try:
            instance = task.instance or self._spool.instance(batch, name)
            destination = self._spool.destination_of(batch)
            return self._objects.put(
                destination, batch, SpoolName.parse(name), path, instance
            )
        except FileNotFoundError:
            if self._spool.exists(batch, name):
                raise
            self._gone(batch, name)
            return None

    def _gone(self, batch: str, name: str) -> None:
        """Its file is not there.

        It was put, or set aside, and the volume failed us right after that; else the
        volume is damaged, and the batch must not wait for it.
        """
        known = SpoolName.parse(name)
        aside = (
            self._spool.quarantine.files(reason, known.sha256)[0].exists()
            for reason in ACKNOWLEDGED
        )
        if any(aside) or self._spool.is_put(batch, name):
            return
        self._lost(batch, known.sop_instance_uid)

    def _lost(self, batch: str, sop_instance_uid: str) -> None:
        metrics.INSTANCES_LOST.inc()
        log.error(
            "an acknowledged instance is gone from the volume: have it sent again",
            extra={"batch": batch, "sop_instance_uid": sop_instance_uid},
        )

    def _instances(self, batch: str, bucket: str) -> tuple[StoredInstance, ...]:
        """What the manifest will say; of what is in doubt, S3 is asked.

        Raises:
            AwsError: S3 does not say.
        """
        doubtful = self._spool.doubtful(batch)
        # An object once: a note that failed may stand beside a later one for its key.
        return tuple(
            {
                instance.key: instance
                for name, instance in self._spool.instances(batch)
                if name not in doubtful or self._uploader.has(bucket, instance.key)
            }.values()
        )

    def _put_left(self, batch: str) -> None:
        """Put what is still in the folder, whatever was counted: it will be removed.

        Raises:
            AwsError: S3 did not take an object.
            OSError: the volume's.
        """
        for name in list(self._spool.waiting(batch)):
            log.warning("an instance was left in a batch", extra={"batch": batch})
            put = self._instance(Task("instance", batch, name))
            if put is not None:
                self._spool.mark_put(batch, [(name, put)])
        for record in to_ask_for(self._spool.root / batch):
            self._recall(batch, record)

    def _recall(self, batch: str, record: Path) -> None:
        """Have the manifest name an instance whose record was damaged.

        Raises:
            AwsError: S3 does not say.
            OSError: the volume's.
        """
        destination = self._spool.destination_of(batch)
        found = recall(self._uploader, destination, batch, record, self._spool.incoming)
        if found is None:
            self._lost(batch, record.stem)
        else:
            name = SpoolName(found.sop_instance_uid, found.sha256, calling_ae="")
            self._spool.note_put(batch, [(str(name), found)])
        record.unlink()

    def _seal(self, batch: str) -> None:
        """Put the manifest, last of all; then the folder is not needed any more."""
        if not self._spool.has(batch):  # removed before, but the volume failed us then
            self._batcher.sealed(batch)
            return
        destination = self._spool.destination_of(batch)
        content = self._spool.manifest(batch)
        if content is None:
            self._put_left(batch)
            instances = self._instances(batch, destination.bucket)
            if instances:
                content = BatchManifest(
                    batch=batch,
                    datastore=destination.datastore,
                    sealed_at=datetime.now(UTC),
                    instances=instances,
                ).to_json()
                self._spool.fix_manifest(batch, content)
        if content is not None:
            key = destination.manifest_key(batch)
            self._uploader.put_document(destination.bucket, key, content)
            metrics.BATCHES_SEALED.inc()
            log.info("batch sealed", extra={"batch": batch, "key": key})
        self._spool.remove(batch)
        self._batcher.sealed(batch)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
