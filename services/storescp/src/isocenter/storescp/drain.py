"""Moves the spool to S3: threads that carry out tasks until there are none.

S3 may be away for hours: a task that fails is put back with a growing delay and
nothing is given up, because the instance is acknowledged and exists nowhere else.
"""

import logging
import threading
import time
from datetime import UTC, datetime

from isocenter.core.batch import BatchManifest
from isocenter.core.errors import AwsError
from isocenter.storescp import metrics
from isocenter.storescp.batcher import Batcher
from isocenter.storescp.metadata import metadata_json
from isocenter.storescp.spool import Spool
from isocenter.storescp.uploader import Uploader
from isocenter.storescp.work import Task, WorkQueue

log = logging.getLogger(__name__)


class Drain:
    """Worker threads between the spool and S3."""

    def __init__(
        self,
        spool: Spool,
        batcher: Batcher,
        work: WorkQueue,
        uploader: Uploader,
        *,
        threads: int,
    ) -> None:
        self._spool = spool
        self._batcher = batcher
        self._work = work
        self._uploader = uploader
        self._threads = [
            threading.Thread(target=self._run, name=f"drain-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether every thread is running."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self, timeout_s: float) -> bool:
        """Wait until everything is in S3, then end the threads.

        Returns:
            False if something was left on the volume when ``timeout_s`` had passed;
            the next process takes it up.
        """
        deadline = time.monotonic() + timeout_s
        self._work.hurry()
        empty = self._work.wait_empty(timeout_s)
        self._work.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return empty

    def _run(self) -> None:
        while (task := self._work.take()) is not None:
            try:
                self.carry_out(task)
                metrics.UPLOADS.labels(task.kind, "put").inc()
            except Exception as error:  # noqa: BLE001 - a thread that dies stops the drain; the task is kept
                self._failed(task, error)
            finally:
                self._work.done()

    def _failed(self, task: Task, error: Exception) -> None:
        delay = self._work.put_back(task)
        metrics.UPLOADS.labels(task.kind, "failed").inc()
        expected = isinstance(error, (AwsError, OSError))
        log.warning(
            "%s not in S3 yet, next try in %.1f s",
            task.kind,
            delay,
            exc_info=None if expected else error,
            extra={
                "batch": task.batch,
                "sop_instance_uid": task.sop_instance_uid,
                "attempt": task.attempt + 1,
                "error": str(error),
            },
        )

    def carry_out(self, task: Task) -> None:
        """Do one task; doing it twice does no harm.

        Raises:
            AwsError: S3 did not take the object.
            OSError: the volume's.
        """
        if task.kind == "instance":
            self._put_instance(task.batch, task.sop_instance_uid)
            self._batcher.put_done(task.batch)
        else:
            self._seal(task.batch)

    def _put_instance(self, batch: str, sop_instance_uid: str) -> None:
        try:
            instance = self._spool.record(batch, sop_instance_uid)
        except FileNotFoundError:
            self._lost(batch, sop_instance_uid)
            return
        if instance is None:  # put before, but the volume failed us right after it
            return
        destination = self._spool.destination_of(batch)
        path = self._spool.instance_path(batch, sop_instance_uid)
        if not path.exists():
            self._lost(batch, sop_instance_uid)
            return
        metadata_key = destination.metadata_key(batch, sop_instance_uid)
        if metadata_key is not None:
            document = metadata_json(path, instance.transfer_syntax_uid)
            if document is not None:
                self._uploader.put_document(destination.bucket, metadata_key, document)
        self._uploader.put_instance(
            destination.bucket, instance.key, path, instance.sha256
        )
        self._spool.mark_put(batch, sop_instance_uid)
        metrics.UPLOADED_BYTES.inc(instance.bytes)

    def _lost(self, batch: str, sop_instance_uid: str) -> None:
        """Only damage to the volume brings us here; the batch must not wait for it."""
        metrics.INSTANCES_LOST.inc()
        log.error(
            "an acknowledged instance is gone from the volume: have it sent again",
            extra={"batch": batch, "sop_instance_uid": sop_instance_uid},
        )
        self._spool.mark_lost(batch, sop_instance_uid)

    def _seal(self, batch: str) -> None:
        """Put the manifest, last of all; then the folder is not needed any more."""
        if not self._spool.has(batch):  # removed before, but the volume failed us then
            self._batcher.sealed(batch)
            return
        destination = self._spool.destination_of(batch)
        content = self._spool.manifest(batch)
        if content is None:
            # None in practice: a write that failed, and whose removal failed too.
            for sop_instance_uid in self._spool.waiting(batch):
                self._put_instance(batch, sop_instance_uid)
            instances = self._spool.instances(batch)
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
