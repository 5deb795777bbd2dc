"""S3, as the Store SCP uses it: puts, and what duplicates and quarantine ask.

Every object is put with a SHA-256 that S3 checks before it answers 200, so an object
that exists is what the spool held. Putting again what was put is harmless.
"""

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from isocenter.core import aws
from isocenter.core.aws import calling, translate
from isocenter.core.errors import (
    AwsError,
    BusyError,
    NotFoundError,
    UnavailableError,
)
from isocenter.storescp.upload.direct import DirectPut, FilePut, base64_of
from isocenter.storescp.upload.http_connection import TornError

_JSON = "application/json"
_PART_BYTES = 16 * 1024 * 1024
"""Held in memory by each upload thread; 10,000 parts of it are 160 GB."""
_ATTEMPTS = 4
_LONGEST_S = 20.0


def wait_s(attempt: int, *, busy: bool, chance: float) -> float:
    """Seconds before the next attempt in one call: full jitter, doubling.

    Args:
        attempt: failures so far, 1 or more.
        busy: S3 asked for less; a torn connection or a 500 says nothing of load.
        chance: 0..1.
    """
    first = 0.5 if busy else 0.05
    return float(min(_LONGEST_S, first * 2 ** (attempt - 1)) * chance)


@dataclass(frozen=True)
class Listed:
    """An object of a listing."""

    key: str
    bytes: int


class Uploader:
    """Puts files and small documents to S3; safe for threads.

    Args:
        s3: a boto3 S3 client.
        multipart_bytes: files larger than this go in parts, with a SHA-256 for
            each part (S3's single PUT ends at 5 GB).
        direct: sends files up to that size; boto3 does if None.
        sleep, chance: of waits between attempts.
    """

    def __init__(
        self,
        s3: Any,
        *,
        multipart_bytes: int,
        direct: DirectPut | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._s3 = s3
        self._multipart_bytes = multipart_bytes
        self._direct = direct
        self._sleep = sleep
        self._chance = chance
        self._transfer = TransferConfig(
            multipart_threshold=multipart_bytes + 1,
            multipart_chunksize=min(multipart_bytes, _PART_BYTES),
            use_threads=False,
        )

    @classmethod
    def connect(cls, *, pool: int, multipart_bytes: int, s3: Any = None) -> Self:
        """With a direct way beside a boto3 client, where there can be one.

        Args:
            pool: connections kept open; at least the number of threads that put.
            multipart_bytes: as for the class.
            s3: made by ``isocenter.core.aws.client``; made here if None.

        Raises:
            ConfigurationError: no region is set.
        """
        s3 = s3 or aws.client("s3", pool=pool)
        direct = DirectPut.beside(s3, pool=pool)
        return cls(s3, multipart_bytes=multipart_bytes, direct=direct)

    def put_file(self, put: FilePut, *, patient: bool = True) -> None:
        """Put a file; it is streamed, never read whole.

        Args:
            put: file and object.
            patient: whether to wait and try again when S3 asks for less; a queue
                that has other work to do would rather hear of it at once.

        Raises:
            AwsError: S3 did not take the object.
            OSError: the file can't be read.
        """
        if os.stat(put.path).st_size > self._multipart_bytes:  # noqa: PTH116 - for every instance, and paths cost
            self._put_parts(put)
        elif self._direct is None:
            self._put_by_boto3(put)
        else:
            self._put_direct(self._direct, put, patient=patient)

    def _put_direct(self, direct: DirectPut, put: FilePut, *, patient: bool) -> None:
        """By a route; what only botocore can judge is put again by boto3."""
        refused = False
        for attempt in range(1, _ATTEMPTS + 1):
            failure: AwsError
            try:
                if direct.put(put):
                    return
                break
            except ClientError as error:
                failure = translate(error, put.words)
                if not isinstance(failure, BusyError | UnavailableError):
                    # Redirects, clocks and keys are botocore's to mend; and its
                    # error is the one to report.
                    refused = True
                    break
            except BotoCoreError as error:
                raise translate(error, put.words) from error
            except TornError as error:
                failure = UnavailableError(f"could not {put.words}: {error}")
            busy = isinstance(failure, BusyError)
            if attempt == _ATTEMPTS or (busy and not patient):
                raise failure
            self._sleep(wait_s(attempt, busy=busy, chance=self._chance()))
        self._put_by_boto3(put)
        if refused:
            direct.routes.refused(put.bucket)
        direct.routes.accepted(put.bucket, put.key)

    def _put_by_boto3(self, put: FilePut) -> None:
        with Path(put.path).open("rb") as file, calling(put.words):
            self._s3.put_object(
                Bucket=put.bucket,
                Key=put.key,
                Body=file,
                ContentLength=os.fstat(file.fileno()).st_size,
                ContentType=put.content_type,
                ChecksumSHA256=base64_of(bytes.fromhex(put.sha256)),
            )

    def _put_parts(self, put: FilePut) -> None:
        with Path(put.path).open("rb") as file, calling(put.words):
            self._s3.upload_fileobj(
                file,
                put.bucket,
                put.key,
                ExtraArgs={
                    "ChecksumAlgorithm": "SHA256",
                    "ContentType": put.content_type,
                },
                Config=self._transfer,
            )

    def put_document(
        self, bucket: str, key: str, content: bytes, *, content_type: str = _JSON
    ) -> None:
        """Put a small document, JSON if nothing else is said.

        Raises:
            AwsError: S3 did not take the object.
        """
        with calling(f"put s3://{bucket}/{key}"):
            self._s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=content,
                ContentType=content_type,
                ChecksumSHA256=base64_of(hashlib.sha256(content).digest()),
            )

    def has(self, bucket: str, key: str) -> bool:
        """Whether there is an object of that key (HeadObject).

        Raises:
            AwsError: S3 does not say.
        """
        try:
            with calling(f"look for s3://{bucket}/{key}"):
                self._s3.head_object(Bucket=bucket, Key=key)
        except NotFoundError:
            return False
        return True

    def read(self, bucket: str, key: str) -> bytes:
        """A small document (GetObject).

        Raises:
            NotFoundError: there is none.
            AwsError: S3 does not give it.
        """
        with calling(f"read s3://{bucket}/{key}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            return bytes(answer["Body"].read())

    def fetch(self, bucket: str, key: str, path: Path) -> None:
        """Write an object to a file (GetObject), as it comes.

        Raises:
            AwsError: S3 does not give it.
            OSError: the file can't be written.
        """
        with calling(f"read s3://{bucket}/{key}"), path.open("wb") as file:
            self._s3.download_fileobj(bucket, key, file, Config=self._transfer)

    def list_objects(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Objects under a prefix, by key (ListObjectsV2).

        Raises:
            AwsError: S3 does not list them.
        """
        pages = self._s3.get_paginator("list_objects_v2")
        with calling(f"list s3://{bucket}/{prefix}"):
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield Listed(item["Key"], item["Size"])

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; it may be gone already.

        Raises:
            AwsError: S3 does not delete it.
        """
        with calling(f"delete s3://{bucket}/{key}"):
            self._s3.delete_object(Bucket=bucket, Key=key)

    def close(self) -> None:
        """Close idle connections."""
        if self._direct is not None:
            self._direct.close()
