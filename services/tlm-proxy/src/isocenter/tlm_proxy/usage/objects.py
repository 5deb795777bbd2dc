"""The edge to S3: the prefix of runs is listed, manifests are read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Self, TypeVar

from isocenter.core import aws
from isocenter.core.errors import MalformedError, NotFoundError
from isocenter.tlm_proxy.usage.run_layout import DATASET

READERS = 4
"""Manifests read at the same time."""
MAX_BYTES = 128 * 1024 * 1024
"""The longest manifest that is read: about half a million frames."""
LONG = 8 * 1024 * 1024
"""Longer manifests are read one at a time: parsing takes three times their bytes."""

T = TypeVar("T")


class RunObjects:
    """The objects below the prefix of runs. Thread-safe, as boto3 clients are.

    Args:
        client: boto3's S3 client.
        uri: ``s3://bucket/prefix`` of the runs, with or without a / at its end.
    """

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._long = threading.Lock()
        self._bucket, prefix = aws.split_s3_uri(uri)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""

    @classmethod
    def connect(cls, uri: str) -> Self:
        """A client from AWS's own variables."""
        return cls(aws.client("s3", pool=READERS, timeout=20.0), uri)

    def uri(self, name: str) -> str:
        """The ``s3://`` URI of a name below the prefix."""
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def names(self) -> Iterator[str]:
        """Names below the prefix, each dataset's folder as one.

        The delimiter keeps a dataset's arrays out of the listing: a run costs about
        four entries, and a page of ListObjectsV2 has a thousand.

        Raises:
            AwsError: among them DeniedError, and NotFoundError for the bucket.
        """
        with aws.calling(f"list {self.uri('')}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter=DATASET
            )
            for page in pages:
                for folder in page.get("CommonPrefixes", ()):
                    yield str(folder["Prefix"]).removeprefix(self._prefix)
                for item in page.get("Contents", ()):
                    yield str(item["Key"]).removeprefix(self._prefix)

    def find(self, name: str, parse: Callable[[bytes], T]) -> tuple[T, datetime] | None:
        """What an object parses to and when it was written; None without one.

        Raises:
            MalformedError: it is longer than any manifest that is read.
            AwsError: among them DeniedError.
            Exception: of ``parse``.
        """
        try:
            with aws.calling(f"read {self.uri(name)}"):
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=f"{self._prefix}{name}"
                )
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return None
        length = answer["ContentLength"]
        with answer["Body"] as body:
            if length > MAX_BYTES:
                raise MalformedError(
                    f"{self.uri(name)} is over {MAX_BYTES} bytes, and not read"
                )
            with self._long if length > LONG else nullcontext():
                with aws.calling(f"read {self.uri(name)}"):
                    read = bytes(body.read())
                return parse(read), answer["LastModified"]
