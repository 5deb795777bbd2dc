"""What other processes left on the volume: earlier layouts, and workers that are gone.

Before there were workers, batches lay directly in the volume's folder, and each
instance had a record beside it: ``<uid>.dcm`` with ``<uid>.json``, which became
``<uid>.put.json`` once S3 had the object; without a record it was not acknowledged.
A folder is moved first, and converted where it is; a conversion that is killed goes on
at the next start. Of a record that can't be read, or has no ``.dcm`` to it, the name is
kept, as ``<uid>.ask``: before the manifest is written, S3 is asked for its object.
"""

import hashlib
import logging
import os
from pathlib import Path

from pydantic import ValidationError

from isocenter.core.batch import StoredInstance
from isocenter.storescp.batches import ID_PREFIX
from isocenter.storescp.store import durable
from isocenter.storescp.store.journal import FILE_NAME as JOURNAL
from isocenter.storescp.store.journal import Journal
from isocenter.storescp.store.names import SUFFIX, SpoolName
from isocenter.storescp.store.spool import (
    BATCH,
    MANIFEST,
    WORKER_PREFIX,
    Spool,
    take_lock,
)

log = logging.getLogger(__name__)

_QUARANTINE, _COMMITMENT = "quarantine", "commitment"
_RECORD, _PUT, _ASK = ".json", ".put.json", ".ask"


def take_over(spool: Spool, workers: int) -> None:
    """Move into ``spool`` what no configured worker owns; for worker 0 to do.

    Args:
        spool: prepared, and of worker 0.
        workers: how many are configured.

    Raises:
        OSError: the volume's.
    """
    for folder in sorted(spool.volume.iterdir()):
        number = folder.name.removeprefix(WORKER_PREFIX)
        if (
            folder.name.startswith(WORKER_PREFIX)
            and number.isdecimal()
            and int(number) >= workers
        ):
            _take(folder, spool)
    if any(_batches(spool.volume)):
        _take(spool.volume, spool)


def _batches(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.startswith(ID_PREFIX) and path.is_dir()
    )


def _take(folder: Path, spool: Spool) -> None:
    """Move what is in a folder, unless the process that it belonged to still runs."""
    try:
        lock = take_lock(folder)
    except BlockingIOError:
        log.warning("%s is in use by another process: left alone", folder.name)
        return
    try:
        for batch in _batches(folder):
            log.info("batch taken over", extra={"batch": batch.name})
            batch.rename(spool.root / batch.name)
        # Its files have their hashes as names: one that is here already is the same.
        _merge(folder / _QUARANTINE, spool.root / _QUARANTINE)
        if folder == spool.volume:
            # A worker's requests may have the names of ours: commitment adopts them.
            _merge(folder / _COMMITMENT, spool.root / _COMMITMENT)
        durable.sync_folder(spool.root)
        for part in _entries(folder / "incoming"):
            part.unlink()
        durable.sync_folder(folder)
    finally:
        os.close(lock)


def _merge(source: Path, target: Path) -> None:
    """Move files, and those of folders; what describes a file goes before it."""
    entries = sorted(_entries(source), key=lambda path: path.suffix == SUFFIX)
    if not entries:
        return
    target.mkdir(exist_ok=True)
    for path in entries:
        if path.is_dir():
            _merge(path, target / path.name)
        else:
            path.rename(target / path.name)
    durable.sync_folder(target)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def convert(folder: Path) -> None:
    """Bring a batch's folder to today's layout; one that has it is left as it is.

    Raises:
        OSError: the volume's.
    """
    names = {path.name for path in folder.iterdir()} - {BATCH, MANIFEST, JOURNAL}
    put = sorted(name for name in names if name.endswith(_PUT))
    records = sorted(
        name for name in names if name.endswith(_RECORD) and name not in put
    )
    damaged = _convert_put(folder, put, Journal(folder))
    # What a conversion that was killed gave its name of today.
    named = {
        stem for stem, tilde, _ in (name.partition("~") for name in names) if tilde
    }
    for end, unsure in ((_PUT, damaged), (_RECORD, records)):
        for name in unsure:
            _convert_record(folder, name.removesuffix(end), folder / name, named)
    for name in names:
        if name.endswith(SUFFIX) and "~" not in name:
            # Without a record: never acknowledged. With one, it has another name now.
            (folder / name).unlink(missing_ok=True)


def to_ask_for(folder: Path) -> list[Path]:
    """Records in a batch's folder that say no more than that an instance was there."""
    return sorted(folder.glob(f"*{_ASK}"))


def _convert_put(folder: Path, names: list[str], journal: Journal) -> list[str]:
    """Of instances that S3 has; answers the records that can't be read."""
    read = {name: _read(folder / name) for name in names}
    instances = [instance for instance in read.values() if instance is not None]
    if instances:
        journal.add([(str(_name(instance)), instance) for instance in instances])
    for name, instance in read.items():
        if instance is not None:
            (folder / name).unlink()
    return [name for name, instance in read.items() if instance is None]


def _convert_record(folder: Path, uid: str, record: Path, named: set[str]) -> None:
    """Of an instance that was acknowledged, and may not be in S3."""
    file = folder / (uid + SUFFIX)
    instance = _read(record)
    if file.exists():
        if instance is not None:
            received = instance.received_at.timestamp()
            os.utime(file, (received, received))
            name = _name(instance)
        else:  # it was acknowledged all the same; only who sent it is lost
            name = SpoolName(uid, _sha256_of(file), calling_ae="")
        file.rename(folder / f"{name}{SUFFIX}")
        durable.sync_folder(folder)
        record.unlink()
    elif uid in named:
        record.unlink()
    else:
        record.rename(folder / (uid + _ASK))


def _read(record: Path) -> StoredInstance | None:
    try:
        return StoredInstance.model_validate_json(record.read_bytes())
    except ValidationError:
        log.error(  # noqa: TRY400 - pydantic's text quotes the record
            "a damaged record on the volume is not used",
            extra={"batch": record.parent.name},
        )
        return None


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(instance: StoredInstance) -> SpoolName:
    return SpoolName(
        sop_instance_uid=instance.sop_instance_uid,
        sha256=instance.sha256,
        calling_ae=instance.calling_ae.encode("ascii", "replace").decode()[:16],
    )
