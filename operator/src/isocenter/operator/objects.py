"""The edge to S3: the few calls the operator and intake make."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isocenter.core import aws
from isocenter.core.errors import MalformedError

_LONGEST_DOCUMENT = 32 * 1024 * 1024
"""Bytes; a manifest of 5,000 instances has about 3 million."""


@dataclass(frozen=True)
class StoredObject:
    """One entry of a listing."""

    key: str
    modified_at: datetime


class ObjectStore:
    """S3 for one region. Thread-safe, as boto3 clients are."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls, *, pool: int = 10) -> "ObjectStore":
        """A client from AWS's own variables; ``pool`` connections at most."""
        return cls(aws.client("s3", pool=pool))

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """PutObject of JSON."""
        with aws.calling(f"write s3://{bucket}/{key}"):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json"
            )

    def get(self, bucket: str, key: str) -> bytes:
        """GetObject of a document, read to its end.

        Raises:
            MalformedError: it is longer than any document of ours or HealthImaging's.
        """
        with aws.calling(f"read s3://{bucket}/{key}"):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            content = bytes(body.read(_LONGEST_DOCUMENT + 1))
            body.close()
        if len(content) > _LONGEST_DOCUMENT:
            raise MalformedError(
                f"s3://{bucket}/{key} is longer than {_LONGEST_DOCUMENT} bytes"
            )
        return content

    def any_under(self, bucket: str, prefix: str) -> bool:
        """Whether at least one object's key begins with ``prefix``."""
        with aws.calling(f"list s3://{bucket}/{prefix}"):
            answer = self._client.list_objects_v2(
                Bucket=bucket, Prefix=prefix, MaxKeys=1
            )
        return bool(answer.get("Contents"))

    def under(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """ListObjectsV2, all pages, in the order of keys."""
        with aws.calling(f"list s3://{bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["LastModified"])
