"""The quarantine in S3: what is in it, and what becomes of it.

::

    quarantine/<reason>/<sha256>.dcm     put first, deleted first
    quarantine/<reason>/<sha256>.json    why; without the bytes, what is left of a
                                         deletion that was killed
    quarantine/release-<digest>.json     the manifest of a release under way
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import BinaryIO

from isocenter.core.batch import MAX_INSTANCES, BatchManifest, StoredInstance
from isocenter.core.errors import IsocenterError
from isocenter.storescp.batches import batch_id
from isocenter.storescp.file_meta import part10_header, read_header
from isocenter.storescp.identify import Identity, identify
from isocenter.storescp.quarantine.entry import (
    ACKNOWLEDGED,
    QuarantineEntry,
    Reason,
    parse_entry,
)
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.upload.direct import FilePut
from isocenter.storescp.upload.uploader import Uploader

_NAME = re.compile(r"[a-z]+(-[a-z]+)*/[0-9a-f]{64}")
_PIECE = 1024 * 1024
_DCM, _JSON = ".dcm", ".json"


class NotPossibleError(IsocenterError):
    """What was asked can't be done with this entry; the text says why."""


@dataclass(frozen=True)
class Released:
    """A batch of released instances."""

    batch: str
    instances: int


class QuarantineObjects:
    """Entries by name, ``<reason>/<sha256>``.

    Args:
        uploader: to S3.
        destination: of what is released; its bucket is the quarantine's.
        prefix: of the quarantine's keys, ending in ``/``.
        folder: for files on their way from S3 to S3.
    """

    def __init__(
        self, uploader: Uploader, destination: Destination, *, prefix: str, folder: Path
    ) -> None:
        self._s3 = uploader
        # Compressing is for what nobody imports; a release is for an import.
        self._destination = destination.model_copy(update={"gzip": False})
        self._bucket = destination.bucket
        self._prefix = prefix
        self._folder = folder

    def names(self, reason: str | None = None) -> Iterator[str]:
        """Names of all entries, or of those of one reason.

        Raises:
            AwsError: S3 does not list them.
        """
        below = f"{self._prefix}{reason}/" if reason else self._prefix
        for found in self._s3.list_objects(self._bucket, below):
            name = found.key.removeprefix(self._prefix).removesuffix(_JSON)
            if found.key.endswith(_JSON) and _NAME.fullmatch(name):
                yield name

    def entry(self, name: str) -> QuarantineEntry:
        """What is known of an entry.

        Raises:
            NotPossibleError: the name is none.
            NotFoundError: there is no such entry.
            AwsError: S3 does not say.
            MalformedError: the document is not one of ours.
        """
        if not _NAME.fullmatch(name):
            raise NotPossibleError(f"{name!r} is not of the form <reason>/<sha256>")
        key = self._key(name, _JSON)
        return parse_entry(self._s3.read(self._bucket, key), source=key)

    def drop(self, name: str, *, only_copy: bool = False) -> None:
        """Delete an entry.

        Args:
            name: of the entry.
            only_copy: whether to, even if its sender was told success.

        Raises:
            NotPossibleError: its sender was, and ``only_copy`` is not said.
            AwsError: S3 does not delete it.
        """
        reason = self.entry(name).reason
        if reason in ACKNOWLEDGED and not only_copy:
            raise NotPossibleError(
                f"{name}: its sender was told success, and this may be the only copy;"
                " say --only-copy to delete it all the same"
            )
        self._delete(name)

    def release(self, names: Sequence[str]) -> Released:
        """Make entries a batch of their own, with the UIDs of their data sets.

        The batch's id comes from the names: killed, it is done again with the same
        names and nothing is there twice. Entries are deleted when the manifest is put.

        Raises:
            NotPossibleError: one of them can't be imported; no batch was made.
            NotFoundError: one of them is not there.
            AwsError: S3 failed; do it again.
            OSError: the folder's volume.
        """
        unique = sorted(set(names))
        if not 0 < len(unique) <= MAX_INSTANCES:
            raise NotPossibleError(f"1 to {MAX_INSTANCES} entries make a batch")
        digest = hashlib.sha256("\n".join(unique).encode()).hexdigest()
        mark = f"{self._prefix}release-{digest}{_JSON}"
        if self._s3.has(self._bucket, mark):
            manifest = BatchManifest.model_validate_json(
                self._s3.read(self._bucket, mark)
            )
        else:
            manifest = self._put(unique, digest)
            self._s3.put_document(self._bucket, mark, manifest.to_json())
        key = self._destination.manifest_key(manifest.batch)
        self._s3.put_document(self._bucket, key, manifest.to_json())
        for name in unique:
            self._delete(name)
        self._s3.delete(self._bucket, mark)
        return Released(manifest.batch, len(manifest.instances))

    def _put(self, names: Sequence[str], digest: str) -> BatchManifest:
        """Put the instances; answers the manifest, which is to be put last."""
        entries = [(name, self.entry(name)) for name in names]
        latest = max(entry.quarantined_at for _, entry in entries).astimezone(UTC)
        batch = batch_id(latest, f"q{digest[:10]}")
        known: dict[str, StoredInstance] = {}
        for name, entry in entries:
            self._put_one(batch, name, entry, known)
        return BatchManifest(
            batch=batch,
            datastore=self._destination.datastore,
            sealed_at=latest,
            instances=tuple(known.values()),
        )

    def _put_one(
        self,
        batch: str,
        name: str,
        entry: QuarantineEntry,
        known: dict[str, StoredInstance],
    ) -> None:
        """Put an instance, unless the batch has its bytes; note it by its key."""
        if entry.reason == Reason.DAMAGED:
            raise NotPossibleError(f"{name}: its bytes are damaged; have it sent again")
        source = self._folder / entry.sha256
        target = source.with_suffix(_DCM)
        try:
            self._s3.fetch(self._bucket, self._key(name, _DCM), source)
            with source.open("rb") as file, target.open("wb") as out:
                identity, syntax, sha256 = _rewritten(file, out, name)
            size = target.stat().st_size
            uid, study = identity.sop_instance_uid, identity.study_instance_uid
            key = self._destination.instance_key(batch, uid, study)
            if key in known:  # other bytes under the same UID: both are kept
                if known[key].sha256 == sha256:
                    return
                stem = f"{uid}-{sha256[:16]}"
                key = self._destination.instance_key(batch, stem, study)
            self._s3.put_file(FilePut(self._bucket, key, target, sha256))
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        known[key] = StoredInstance(
            key=key,
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            transfer_syntax_uid=syntax,
            bytes=size,
            sha256=sha256,
            calling_ae=entry.calling_ae,
            received_at=entry.quarantined_at,
        )

    def _delete(self, name: str) -> None:
        for suffix in (_DCM, _JSON):
            self._s3.delete(self._bucket, self._key(name, suffix))

    def _key(self, name: str, suffix: str) -> str:
        return f"{self._prefix}{name}{suffix}"


def _rewritten(file: BinaryIO, out: BinaryIO, name: str) -> tuple[Identity, str, str]:
    """Write a P10 file again under the UIDs of its data set.

    Returns:
        The UIDs, the transfer syntax, and the new file's SHA-256.

    Raises:
        NotPossibleError: it can't be parsed, or a UID is missing.
    """
    try:
        syntax = read_header(file).transfer_syntax_uid
        offset = file.tell()
        identity = identify(file, syntax)
    except IsocenterError as error:
        raise NotPossibleError(f"{name} can't be imported: {error}") from None
    header = part10_header(
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=syntax,
    )
    digest = hashlib.sha256(header)
    out.write(header)
    file.seek(offset)
    while piece := file.read(_PIECE):
        digest.update(piece)
        out.write(piece)
    return identity, syntax, digest.hexdigest()
