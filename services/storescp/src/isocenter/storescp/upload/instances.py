"""An instance as objects: the file, compressed if its batch is, and its DICOM JSON."""

from pathlib import Path

from isocenter.core.batch import StoredInstance
from isocenter.storescp import metrics
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.upload.compression import (
    CONTENT_TYPE,
    compressed,
    compressed_file,
)
from isocenter.storescp.upload.direct import FilePut
from isocenter.storescp.upload.metadata import metadata_json
from isocenter.storescp.upload.uploader import Uploader


class InstanceObjects:
    """Puts instances, for the drain and for reception (``store.objects``).

    An object that was put before its sender got an answer, by a process that was
    killed between the two, is the instance as it was sent: no manifest names it, and
    the sender sends it again.

    Args:
        uploader: to S3.
        folder: for compressed files on their way.
        gzip_level: of batches that are compressed.
        patient: whether to wait when S3 asks for less: reception does, because a
            sender waits for the answer; the drain has other work.
    """

    def __init__(
        self, uploader: Uploader, folder: Path, *, gzip_level: int, patient: bool
    ) -> None:
        self._uploader = uploader
        self._folder = folder
        self._gzip_level = gzip_level
        self._patient = patient

    def has(self, bucket: str, key: str) -> bool:
        """Whether there is an object of that key.

        Raises:
            AwsError: S3 does not say.
        """
        return self._uploader.has(bucket, key)

    def put(
        self,
        destination: Destination,
        batch: str,
        name: SpoolName,
        path: str,
        instance: StoredInstance,
    ) -> StoredInstance:
        """Put an instance, and before it what its batch has beside it.

        Args:
            destination: of the batch.
            batch: batch id.
            name: of the instance.
            path: its file.
            instance: its record; the key is the object's.

        Returns:
            The record of what lies in S3: other bytes, if the batch is compressed.

        Raises:
            AwsError: S3 did not take it.
            OSError: the file can't be read.
        """
        self._put_metadata(destination, batch, name, path, instance)
        put = self._put_file(destination, path, instance)
        metrics.UPLOADED_BYTES.inc(put.bytes)
        return put

    def _put_file(
        self, destination: Destination, path: str, instance: StoredInstance
    ) -> StoredInstance:
        bucket, key = destination.bucket, instance.key
        if not destination.gzip:
            put = FilePut(bucket, key, path, instance.sha256)
            self._uploader.put_file(put, patient=self._patient)
            return instance
        with compressed_file(Path(path), self._folder, self._gzip_level) as found:
            put = FilePut(bucket, key, found.path, found.sha256, CONTENT_TYPE)
            self._uploader.put_file(put, patient=self._patient)
            return instance.model_copy(
                update={"sha256": found.sha256, "bytes": found.bytes}
            )

    def _put_metadata(
        self,
        destination: Destination,
        batch: str,
        name: SpoolName,
        path: str,
        instance: StoredInstance,
    ) -> None:
        key = destination.metadata_key(batch, name.stem, instance.study_instance_uid)
        if key is None:
            return
        document = metadata_json(
            Path(path),
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
        )
        if document is None:
            return
        content_type = "application/json"
        if destination.gzip:
            document = compressed(document, self._gzip_level)
            content_type = CONTENT_TYPE
        self._uploader.put_document(
            destination.bucket, key, document, content_type=content_type
        )
