"""The spool: where an acknowledged instance lies until S3 has it.

::

    <spool>/index.sqlite                     what was stored before (index.py)
    <spool>/w<n>/lock                        held by the process whose folder it is
    <spool>/w<n>/incoming/                   being received, or done with (parts.py)
    <spool>/w<n>/<batch>/batch.json          where the batch goes (destination.py)
    <spool>/w<n>/<batch>/<name>.dcm          an acknowledged instance, P10 (names.py)
    <spool>/w<n>/<batch>/put.jsonl           the instances that S3 has (journal.py)
    <spool>/w<n>/<batch>/manifest.json       the manifest, from just before it is put
    <spool>/w<n>/reserve                     room to empty a full volume (reserve.py)
    <spool>/w<n>/quarantine/<reason>/        what can't be stored (quarantine.py)

The name of a file is all that has to be known of it; it was received when it was last
written. Each step is one rename, append or removal, so a kill between any two leaves a
state that has a next step:

==========================================  ==========================================
found in a batch's folder at the start      next step
==========================================  ==========================================
nothing, or no ``.dcm`` and no ``put.jsonl``  never had an instance: remove the folder
``<name>.dcm``                              acknowledged, or about to be: put it
``<name>.dcm`` and its line in put.jsonl    S3 has it: remove the ``.dcm``
a line in put.jsonl alone                   S3 has it
``<uid>.ask`` (takeover.py)                 ask S3 for it, note it as put
a torn line                                 is none: put its ``.dcm`` again
no ``.dcm``, lines in put.jsonl             write ``manifest.json``, put it
``manifest.json``                           put exactly these bytes, remove the folder
``*.part``                                  remove
==========================================  ==========================================

In ``incoming`` nothing was acknowledged: all of it is removed. With durability
``object_store`` an instance goes from ``incoming`` to S3 and, at the same time, to an
early line of put.jsonl; it is acknowledged when both are there. An object without a
line belongs to no batch and does no harm; of an early line that a dead process left,
S3 is asked before the manifest is written.

Earlier versions had batches directly in ``<spool>``: see takeover.py.
"""

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import ConfigurationError, MalformedError
from isocenter.storescp.batches import ID_PREFIX
from isocenter.storescp.file_meta import read_header
from isocenter.storescp.identify import identify
from isocenter.storescp.store import durable
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.folder import BatchFolder
from isocenter.storescp.store.index import Index, Known
from isocenter.storescp.store.names import SUFFIX, SpoolName
from isocenter.storescp.store.parts import BLANK, Parts
from isocenter.storescp.store.quarantine import LocalQuarantine
from isocenter.storescp.store.reserve import Reserve, is_full
from isocenter.storescp.store.usage import Usage

log = logging.getLogger(__name__)

BATCH, MANIFEST = "batch.json", "manifest.json"
WORKER_PREFIX = "w"
_FLUSH_S = 2.0


class Spool:
    """One worker's part of the volume; safe for threads, with one closer of a batch.

    Args:
        volume: the spool's folder; made if it is not there.
        destination: of batches opened from now on.
        worker: number of the worker process.
        index: told what S3 has.
    """

    def __init__(
        self,
        volume: Path,
        destination: Destination,
        worker: int = 0,
        *,
        index: Index | None = None,
    ) -> None:
        self.volume = volume
        self.worker = worker
        self.root = volume / f"{WORKER_PREFIX}{worker}"
        self._root = str(self.root)
        self.incoming = self.root / "incoming"
        self.destination = destination
        self._index = index
        self.usage = Usage()
        self.reserve = Reserve(self.root)
        self.quarantine = LocalQuarantine(self.root / "quarantine", self.usage)
        self._folders: dict[str, BatchFolder] = {}
        self._folders_lock = threading.Lock()
        self.parts = Parts(self.incoming)
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folders and remove what an earlier process was receiving.

        From here to ``release`` no other process can have this worker's folder: it
        would take what is being received for what a dead process left. The kernel
        gives the lock back when the process is killed.

        Raises:
            ConfigurationError: the folder can't be written, or is another process's.
        """
        try:
            self.incoming.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = take_lock(self.root)
            self.parts.prepare()
            self._probe()
            self.reserve.hold()
            durable.sync_folder(self.root)
            durable.sync_folder(self.volume)
        except OSError as error:
            self.release()
            problem = f"can't be written: {error.strerror}"
            if isinstance(error, BlockingIOError):
                problem = "is in use by another process"
            raise ConfigurationError(
                f"STORESCP_SPOOL_DIR: {self.root} {problem}"
            ) from error

    def _probe(self) -> None:
        """Write a file; a volume that is only full is used: what is on it must go."""
        try:
            durable.write(self.incoming / "probe", b"")
            (self.incoming / "probe").unlink()
        except OSError as error:
            if not is_full(error):
                raise
            log.warning("the spool volume is full", extra={"error": str(error)})

    def release(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def free_bytes(self) -> int:
        """Bytes that this process may still write to the volume; 0 while it is away."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError:
            return 0

    def remove_stale(self, older_than: float) -> int:
        """Remove what broken associations left in ``incoming``; answers how many.

        Called from time to time, it also takes the reserve again, and gives the
        volume back what was done with.

        Args:
            older_than: POSIX time before which nobody can still be writing it.
        """
        self.parts.trim()
        self.reserve.hold()
        removed = 0
        for path in self.incoming.iterdir():
            try:
                if path.suffix != BLANK and path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    # Batches.

    def open_batch(self, batch: str) -> None:
        """Make a batch's folder, durably.

        Raises:
            OSError: the volume's; there is no such batch.
        """
        folder = self.root / batch
        folder.mkdir()
        try:
            durable.write(folder / BATCH, self.destination.model_dump_json().encode())
            durable.sync_folder(folder)
            durable.sync_folder(self.root)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._folder(batch).opened_here = True

    def batches(self) -> list[str]:
        """Ids of all batches in this worker's folder, oldest first."""
        return sorted(
            path.name
            for path in self.root.iterdir()
            if path.name.startswith(ID_PREFIX) and path.is_dir()
        )

    def has(self, batch: str) -> bool:
        """Whether a batch's folder is there."""
        self.root.stat()  # raises while the volume is away: that says nothing
        return (self.root / batch).is_dir()

    def destination_of(self, batch: str) -> Destination:
        """Where a batch goes; the settings' if the volume lost it."""
        folder = self._folder(batch)
        if folder.destination is None:
            try:
                stored = (folder.path / BATCH).read_bytes()
            except FileNotFoundError:
                return self.destination
            folder.destination = Destination.model_validate_json(stored)
        return folder.destination

    def tidy(self, batch: str) -> int:
        """At the start: take the steps of the table that need no S3.

        Returns:
            How many instances S3 does not have.
        """
        folder = self.root / batch
        stored = self._folder(batch).journal.names()
        waiting = 0
        for entry in _entries(folder):
            if entry.name.endswith(".part"):
                Path(entry.path).unlink()
            elif entry.name.endswith(SUFFIX):
                if entry.name.removesuffix(SUFFIX) in stored:
                    Path(entry.path).unlink()
                elif _is_ours(entry.name):
                    waiting += 1
                    self.usage.add(entry.stat().st_size)
        return waiting

    def remove(self, batch: str) -> None:
        """Remove a batch's folder; the manifest goes last, so a kill is harmless."""
        if self._index is not None:
            self._index.flush(_FLUSH_S)  # the folder is what a lost row comes from
        folder = self.root / batch
        for entry in _entries(folder):
            if entry.name not in (BATCH, MANIFEST):
                Path(entry.path).unlink()
        durable.sync_folder(folder)
        for name in (MANIFEST, BATCH):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        durable.sync_folder(self.root)
        with self._folders_lock:
            self._folders.pop(batch, None)

    # Instances.

    def keep(self, batch: str, part: str, name: SpoolName) -> None:
        """Put a part into a batch, durably: after this it may be acknowledged.

        Args:
            batch: an open batch.
            part: complete, and synced.
            name: its name from now on.

        Raises:
            OSError: the volume's; the instance is not in the batch.
        """
        path = self.path(batch, name)
        try:
            os.rename(part, path)  # noqa: PTH104 - for every instance, and paths cost
            self._folder(batch).sync()
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise

    def waiting(self, batch: str) -> Iterator[str]:
        """Names, without ``.dcm``, of instances that S3 does not have yet.

        In no order, and one at a time from the folder; none once it was removed.
        """
        if not self.has(batch):
            return
        for entry in _entries(self.root / batch):
            if _is_ours(entry.name):
                yield entry.name.removesuffix(SUFFIX)

    def exists(self, batch: str, name: str) -> bool:
        """Whether an instance's file is still there."""
        return Path(self.path(batch, name)).exists()

    def quarantined(self) -> Iterator[tuple[str, str]]:
        """Reason and hash of every file in quarantine."""
        return self.quarantine.waiting()

    def is_quarantined(self, reason: str, sha256: str) -> bool:
        """Whether such a file is still there."""
        return self.quarantine.files(reason, sha256)[0].exists()

    def path(self, batch: str, name: str | SpoolName) -> str:
        """The instance's file; as text, because it is asked for so often."""
        return f"{self._root}/{batch}/{name}{SUFFIX}"

    def place(self, batch: str, name: str | SpoolName) -> str:
        """The instance's file, relative to the volume."""
        return f"{self.root.name}/{batch}/{name}{SUFFIX}"

    def instance(self, batch: str, name: str) -> StoredInstance:
        """An instance's record, made from the name and the beginning of its file.

        Raises:
            FileNotFoundError: there is no such file; S3 may have it (``is_put``).
            MalformedError: only damage to the volume makes it unreadable.
        """
        with Path(self.path(batch, name)).open("rb") as file:
            status = os.fstat(file.fileno())
            meta = read_header(file)
            identity = identify(file, meta.transfer_syntax_uid)
        known = SpoolName.parse(name)
        return StoredInstance(
            key=self.destination_of(batch).instance_key(
                batch, known.stem, identity.study_instance_uid
            ),
            sop_instance_uid=known.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            bytes=status.st_size,
            sha256=known.sha256,
            calling_ae=known.calling_ae,
            received_at=datetime.fromtimestamp(status.st_mtime, UTC),
        )

    def is_put(self, batch: str, name: str) -> bool:
        """Whether put.jsonl has an instance; reads all of it."""
        return any(put == name for put, _ in self._folder(batch).journal.read())

    def note_put(self, batch: str, puts: Sequence[tuple[str, StoredInstance]]) -> None:
        """S3 has objects: say so durably.

        Args:
            batch: batch id.
            puts: names of files, without ``.dcm``, and what the manifest will say.

        Raises:
            OSError: the volume's; it must be said again.
        """
        journal = self._folder(batch).journal
        self.reserve.within(lambda: journal.add(puts))
        self.record_put(batch, puts)

    def note_early(
        self, batch: str, puts: Sequence[tuple[str, StoredInstance]]
    ) -> None:
        """S3 is about to have objects: say so durably; arguments as for ``note_put``.

        Raises:
            OSError: the volume's.
        """
        self._folder(batch).journal.add(puts, early=True)

    def retract(self, batch: str, name: str) -> None:
        """S3 does not have an object that was noted early."""
        self._folder(batch).retract(name, self.reserve)

    def doubtful(self, batch: str) -> set[str]:
        """Names of instances that S3 may not have, though put.jsonl has them."""
        return self._folder(batch).doubtful()

    def record_put(
        self, batch: str, puts: Sequence[tuple[str, StoredInstance]]
    ) -> None:
        """Tell the index that S3 has objects; arguments as for ``note_put``."""
        if self._index is None:
            return
        bucket = self.destination_of(batch).bucket
        for name, instance in puts:
            self._index.record(
                Known(
                    sop_instance_uid=instance.sop_instance_uid,
                    sha256=SpoolName.parse(name).sha256,
                    sop_class_uid=instance.sop_class_uid,
                    bucket=bucket,
                    key=instance.key,
                    batch=batch,
                    object_sha256=instance.sha256,
                    time=instance.received_at.timestamp(),
                )
            )

    def mark_put(self, batch: str, puts: Sequence[tuple[str, StoredInstance]]) -> None:
        """As ``note_put``; then give the space back.

        Raises:
            OSError: the volume's; marking again does no harm.
        """
        self.note_put(batch, puts)
        for name, instance in puts:
            path = self.path(batch, name)
            compressed = instance.sha256 != SpoolName.parse(name).sha256
            try:
                size = Path(path).stat().st_size if compressed else instance.bytes
                self.parts.give_back(path, size)
            except FileNotFoundError:  # given back before
                continue
            self.usage.add(-size)

    def put_aside(
        self,
        batch: str,
        name: str,
        reason: str,
        record: dict[str, object],
    ) -> None:
        """Take an instance that S3 refuses for good out of its batch, to quarantine.

        Raises:
            OSError: the volume's; it may still be in the batch.
        """
        path = Path(self.path(batch, name))
        known = SpoolName.parse(name)
        received_at = path.stat().st_mtime
        self.reserve.within(
            lambda: self.quarantine.keep(path, known.sha256, reason, record)
        )
        self._folder(batch).sync()
        if self._index is not None:
            uid, sha256 = known.sop_instance_uid, known.sha256
            self._index.set_aside(uid, sha256, batch, received_at)

    # The manifest.

    def instances(self, batch: str) -> Iterator[tuple[str, StoredInstance]]:
        """Names and records of put.jsonl, in the order in which S3 got them."""
        return self._folder(batch).journal.read()

    def manifest(self, batch: str) -> bytes | None:
        """The manifest's bytes, if they were fixed already."""
        try:
            return (self.root / batch / MANIFEST).read_bytes()
        except FileNotFoundError:
            return None

    def fix_manifest(self, batch: str, content: bytes) -> None:
        """Write the manifest durably before it is put.

        A repeated put must carry the same bytes: the import job's client token is
        their digest.
        """
        folder = self._folder(batch)
        self.reserve.within(lambda: durable.write(folder.path / MANIFEST, content))
        folder.sync()

    def _folder(self, batch: str) -> BatchFolder:
        folder = self._folders.get(batch)
        if folder is None:
            with self._folders_lock:
                folder = self._folders.get(batch)
                if folder is None:
                    folder = self._folders[batch] = BatchFolder(self.root / batch)
        return folder


def take_lock(folder: Path) -> int:
    """Hold ``<folder>/lock`` until the answered descriptor is closed.

    Raises:
        BlockingIOError: another process holds it.
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_ours(file_name: str) -> bool:
    if not file_name.endswith(SUFFIX):
        return False
    try:
        SpoolName.parse(file_name.removesuffix(SUFFIX))
    except MalformedError:
        log.warning("a file of unknown name is left on the volume")
        return False
    return True
