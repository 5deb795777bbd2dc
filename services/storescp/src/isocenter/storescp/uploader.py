"""S3, as the Store SCP uses it: the one place with boto3 calls.

Every object is put with a SHA-256 that S3 checks before it answers 200, so an object
that exists is what the spool held.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from isocenter.core.aws import calling

_DICOM = "application/dicom"
_JSON = "application/json"
_PART_BYTES = 16 * 1024 * 1024
"""Held in memory by each upload thread; 10,000 parts of it are 160 GB."""


class Uploader:
    """Puts files and small documents to S3.

    Args:
        s3: a boto3 S3 client; safe for threads.
        multipart_bytes: files larger than this go in parts, with a SHA-256 for
            each part (S3's single PUT ends at 5 GB).
    """

    def __init__(self, s3: Any, *, multipart_bytes: int) -> None:
        self._s3 = s3
        self._multipart_bytes = multipart_bytes
        self._transfer = TransferConfig(
            multipart_threshold=multipart_bytes + 1,
            multipart_chunksize=min(multipart_bytes, _PART_BYTES),
            use_threads=False,
        )

    def put_instance(self, bucket: str, key: str, path: Path, sha256: str) -> None:
        """Put a file; it is streamed, never read whole.

        Args:
            bucket: bucket name.
            key: object key.
            path: the P10 file.
            sha256: of the whole file, hexadecimal; S3 compares it (single PUT).

        Raises:
            AwsError: S3 did not take the object.
            OSError: the file can't be read.
        """
        where = f"put s3://{bucket}/{key}"
        with path.open("rb") as file:
            size = path.stat().st_size
            with calling(where):
                if size > self._multipart_bytes:
                    self._s3.upload_fileobj(
                        file,
                        bucket,
                        key,
                        ExtraArgs={
                            "ChecksumAlgorithm": "SHA256",
                            "ContentType": _DICOM,
                        },
                        Config=self._transfer,
                    )
                    return
                self._s3.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=file,
                    ContentLength=size,
                    ContentType=_DICOM,
                    ChecksumSHA256=_base64(bytes.fromhex(sha256)),
                )

    def put_document(self, bucket: str, key: str, content: bytes) -> None:
        """Put a JSON document.

        Raises:
            AwsError: S3 did not take the object.
        """
        with calling(f"put s3://{bucket}/{key}"):
            self._s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=content,
                ContentType=_JSON,
                ChecksumSHA256=_base64(hashlib.sha256(content).digest()),
            )


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
