"""What S3 knows of an instance whose record the volume lost: it is read back."""

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import MalformedError, NotFoundError
from isocenter.storescp.file_meta import read_header
from isocenter.storescp.identify import identify, is_uid
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.upload.uploader import Uploader


def recall(
    uploader: Uploader,
    destination: Destination,
    batch: str,
    record: Path,
    folder: Path,
) -> StoredInstance | None:
    """The record of an instance, from its object.

    Args:
        uploader: to S3.
        destination: of the batch, which was opened before keys had a study in them.
        batch: batch id.
        record: the file that says no more than the SOP Instance UID, by its name, and
            when it came, by when it was written.
        folder: for the object on its way.

    Returns:
        None if S3 does not have the instance. Who sent it is lost in any case.

    Raises:
        AwsError: S3 does not say.
        OSError: the volume's.
    """
    uid = record.stem
    if not is_uid(uid):
        return None
    key = destination.instance_key(batch, uid, "")
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part") as part:
        path = Path(part.name)
        try:
            uploader.fetch(destination.bucket, key, path)
            with path.open("rb") as file:
                syntax = read_header(file).transfer_syntax_uid
                identity = identify(file, syntax)
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except (NotFoundError, MalformedError, StoreRefusedError):
            return None
        if identity.sop_instance_uid != uid:
            return None
        return StoredInstance(
            key=key,
            sop_instance_uid=uid,
            sop_class_uid=identity.sop_class_uid,
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            transfer_syntax_uid=syntax,
            bytes=path.stat().st_size,
            sha256=sha256,
            calling_ae="",
            received_at=datetime.fromtimestamp(record.stat().st_mtime, UTC),
        )
