"""The spool: where an acknowledged instance lies until S3 has it.

::

    <spool>/lock                      held by the process that uses the spool
    <spool>/incoming/                 being received; never acknowledged from here
    <spool>/<batch>/batch.json        where the batch goes (bucket, datastore, prefixes)
    <spool>/<batch>/<sop>.dcm         the instance, P10
    <spool>/<batch>/<sop>.json        its record; written after the .dcm
    <spool>/<batch>/<sop>.put.json    the record once S3 has the object
    <spool>/<batch>/manifest.json     the manifest, from just before it is put

A state is one name in a folder, and each step is one rename, so a kill between any
two steps leaves a state that has a next step:

- ``.dcm`` without record: never acknowledged. Removed.
- ``.json``: acknowledged. Put the object, rename the record, remove the ``.dcm``.
- only ``.put.json``: in S3.
- ``manifest.json``: everything is in S3. Put exactly these bytes, remove the folder.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import ConfigurationError
from isocenter.storescp import durable
from isocenter.storescp.batches import ID_PREFIX

log = logging.getLogger(__name__)

_PIECE = 1024 * 1024
_OPEN, _PUT, _DCM = ".json", ".put.json", ".dcm"
_BATCH, _MANIFEST = "batch.json", "manifest.json"


class Destination(BaseModel):
    """Where a batch goes: fixed when it is opened, whatever the settings become."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    datastore: str
    dicom_prefix: str
    batches_prefix: str
    metadata_prefix: str | None = None

    def instance_key(self, batch: str, sop_instance_uid: str) -> str:
        """Key of an instance's object."""
        return f"{self.dicom_prefix}{batch}/{sop_instance_uid}.dcm"

    def manifest_key(self, batch: str) -> str:
        """Key of a batch's manifest."""
        return f"{self.batches_prefix}{batch}.json"

    def metadata_key(self, batch: str, sop_instance_uid: str) -> str | None:
        """Key of an instance's metadata, None if none are to be made."""
        if self.metadata_prefix is None:
            return None
        return f"{self.metadata_prefix}{batch}/{sop_instance_uid}.json"


@dataclass(frozen=True)
class Part:
    """An instance in ``incoming``: complete and synced, but of no batch yet.

    Attributes:
        sha256: over the file, hexadecimal.
        data_set_sha256: over the data set alone, which says whether two instances
            of one SOP Instance UID are the same.
    """

    path: Path
    size: int
    sha256: str
    data_set_sha256: str


class Spool:
    """One volume's spool; safe for threads as long as each batch has one closer.

    Args:
        root: folder on the volume; made if it is not there.
        destination: of batches opened from now on.
    """

    def __init__(self, root: Path, destination: Destination) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.destination = destination
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folders and remove what an earlier process was receiving.

        From here to ``release`` no other process can have the spool: it would take
        what is being received for what a dead process left. The kernel gives the
        lock back when the process is killed.

        Raises:
            ConfigurationError: the folder can't be written, or is another process's.
        """
        try:
            self.incoming.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in self.incoming.iterdir():
                path.unlink()
            durable.write(self.incoming / "probe", b"")
            (self.incoming / "probe").unlink()
            durable.sync_folder(self.root)
        except OSError as error:
            self.release()
            problem = f"can't be written: {error.strerror}"
            if isinstance(error, BlockingIOError):
                problem = "is in use by another process"
            raise ConfigurationError(
                f"STORESCP_SPOOL_DIR: {self.root} {problem}"
            ) from error

    def release(self) -> None:
        """Let another process have the spool."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def free_bytes(self) -> int:
        """Bytes that this process may still write to the volume."""
        return shutil.disk_usage(self.root).free

    def remove_stale(self, older_than: float) -> int:
        """Remove what broken associations left in ``incoming``; answers how many.

        Args:
            older_than: POSIX time before which nobody can still be writing it.
        """
        removed = 0
        for path in self.incoming.iterdir():
            try:
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def write_part(self, header: bytes, data_set: BinaryIO) -> Part:
        """Copy a data set behind a file header, and sync it.

        Args:
            header: preamble and file meta.
            data_set: positioned at its first byte; its bytes are copied unchanged.

        Raises:
            OSError: the volume's; nothing is left behind.
        """
        whole, alone = hashlib.sha256(header), hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=self.incoming, suffix=".part")
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                _write_all(file, header)
                size = len(header)
                while piece := data_set.read(_PIECE):
                    whole.update(piece)
                    alone.update(piece)
                    _write_all(file, piece)
                    size += len(piece)
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Part(path, size, whole.hexdigest(), alone.hexdigest())

    def open_batch(self, batch: str) -> None:
        """Make a batch's folder, durably.

        Raises:
            OSError: the volume's; there is no such batch.
        """
        folder = self.root / batch
        folder.mkdir()
        try:
            durable.write(folder / _BATCH, self.destination.model_dump_json().encode())
            durable.sync_folder(folder)
            durable.sync_folder(self.root)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def keep(self, batch: str, part: Part, instance: StoredInstance) -> None:
        """Put a part into a batch, durably: after this it may be acknowledged.

        Raises:
            OSError: the volume's; the instance is not in the batch.
        """
        folder = self.root / batch
        stem = instance.sop_instance_uid
        record = instance.model_dump_json(by_alias=True).encode()
        try:
            part.path.rename(folder / (stem + _DCM))
            durable.write(folder / (stem + _OPEN), record)
            durable.sync_folder(folder)
        except OSError:
            (folder / (stem + _OPEN)).unlink(missing_ok=True)
            (folder / (stem + _DCM)).unlink(missing_ok=True)
            raise

    def batches(self) -> list[str]:
        """Ids of all batches on the volume, oldest first."""
        return sorted(
            path.name
            for path in self.root.iterdir()
            if path.is_dir() and path.name.startswith(ID_PREFIX)
        )

    def has(self, batch: str) -> bool:
        """Whether a batch's folder is on the volume."""
        self.root.stat()  # raises while the volume is away: that says nothing
        return (self.root / batch).is_dir()

    def waiting(self, batch: str) -> list[str]:
        """SOP Instance UIDs that S3 does not have yet."""
        return sorted(
            path.name.removesuffix(_OPEN)
            for path in self._records(batch)
            if not path.name.endswith(_PUT)
        )

    def _records(self, batch: str) -> Iterator[Path]:
        return (
            path
            for path in (self.root / batch).iterdir()
            if path.name.endswith(_OPEN) and path.name not in (_BATCH, _MANIFEST)
        )

    def remove_unacknowledged(self, batch: str) -> int:
        """Remove a batch's files that have no record; answers how many instances."""
        folder = self.root / batch
        removed = 0
        for path in list(folder.iterdir()):
            if path.suffix == ".part":
                path.unlink()
            elif path.suffix == _DCM:
                stem = path.name.removesuffix(_DCM)
                put = (folder / (stem + _PUT)).exists()
                if put or not (folder / (stem + _OPEN)).exists():
                    path.unlink()
                    removed += not put
        return removed

    def destination_of(self, batch: str) -> Destination:
        """Where a batch goes; the settings' if the volume lost it."""
        try:
            stored = (self.root / batch / _BATCH).read_bytes()
        except FileNotFoundError:
            return self.destination
        return Destination.model_validate_json(stored)

    def instance_path(self, batch: str, sop_instance_uid: str) -> Path:
        """The instance's file."""
        return self.root / batch / (sop_instance_uid + _DCM)

    def record(self, batch: str, sop_instance_uid: str) -> StoredInstance | None:
        """The record of an instance that S3 does not have yet, None if it has.

        Raises:
            FileNotFoundError: there is none of either kind.
        """
        folder = self.root / batch
        try:
            stored = (folder / (sop_instance_uid + _OPEN)).read_bytes()
        except FileNotFoundError:
            if (folder / (sop_instance_uid + _PUT)).exists():
                return None
            raise
        return StoredInstance.model_validate_json(stored)

    def mark_put(self, batch: str, sop_instance_uid: str) -> None:
        """S3 has the object: say so durably, then give the space back."""
        folder = self.root / batch
        record = folder / (sop_instance_uid + _OPEN)
        record.rename(folder / (sop_instance_uid + _PUT))
        durable.sync_folder(folder)
        (folder / (sop_instance_uid + _DCM)).unlink(missing_ok=True)

    def mark_lost(self, batch: str, sop_instance_uid: str) -> None:
        """The instance's file is gone: take it out of the batch, so others go on."""
        folder = self.root / batch
        (folder / (sop_instance_uid + _OPEN)).unlink(missing_ok=True)
        durable.sync_folder(folder)

    def instances(self, batch: str) -> tuple[StoredInstance, ...]:
        """All records of a batch, in the order of reception."""
        found = [
            StoredInstance.model_validate_json(path.read_bytes())
            for path in self._records(batch)
        ]
        return tuple(sorted(found, key=lambda i: (i.received_at, i.sop_instance_uid)))

    def manifest(self, batch: str) -> bytes | None:
        """The manifest's bytes, if they were fixed already."""
        try:
            return (self.root / batch / _MANIFEST).read_bytes()
        except FileNotFoundError:
            return None

    def fix_manifest(self, batch: str, content: bytes) -> None:
        """Write the manifest durably before it is put.

        A repeated put must carry the same bytes: the import job's client token is
        their digest.
        """
        folder = self.root / batch
        durable.write(folder / _MANIFEST, content)
        durable.sync_folder(folder)

    def remove(self, batch: str) -> None:
        """Remove a batch's folder; the manifest goes last, so a kill is harmless."""
        folder = self.root / batch
        for path in list(folder.iterdir()):
            if path.name not in (_BATCH, _MANIFEST):
                path.unlink()
        durable.sync_folder(folder)
        for name in (_MANIFEST, _BATCH):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        durable.sync_folder(self.root)


def _write_all(file: BinaryIO, content: bytes) -> None:
    """Write all of it: an unbuffered file may take less than was offered."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
