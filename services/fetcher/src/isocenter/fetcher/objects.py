"""The edge to S3: requests are read from it, job records and datasets go to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error

from isocenter.core import aws
from isocenter.core.errors import NotFoundError


class Objects:
    """S3 objects by URI. Thread-safe, as boto3 clients are."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> "Objects":
        """A client from AWS's own variables."""
        return cls(aws.client("s3"))

    def read(self, uri: str) -> bytes:
        """An object's bytes.

        Raises:
            AwsError: among them NotFoundError.
        """
        bucket, key = aws.split_s3_uri(uri)
        with aws.calling(f"read {uri}"):
            answer = self._client.get_object(Bucket=bucket, Key=key)
            return bytes(answer["Body"].read())

    def find(self, uri: str) -> bytes | None:
        """An object's bytes, None if there is no such object."""
        try:
            return self.read(uri)
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            return None

    def write(self, uri: str, body: bytes) -> None:
        """PutObject; durable when it returns."""
        bucket, key = aws.split_s3_uri(uri)
        with aws.calling(f"write {uri}"):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json"
            )

    def upload(self, uri: str, path: Path) -> None:
        """Upload a file, in parts if it is large; durable when it returns."""
        bucket, key = aws.split_s3_uri(uri)
        with aws.calling(f"write {uri}"):
            try:
                self._client.upload_file(str(path), bucket, key)
            except Boto3Error as error:
                # boto3's transfer raises its own error while handling botocore's.
                cause = error.__context__
                raise aws.translate(
                    cause if isinstance(cause, Exception) else error, f"write {uri}"
                ) from error

    def delete(self, uri: str) -> None:
        """DeleteObject; what is not there is deleted too."""
        bucket, key = aws.split_s3_uri(uri)
        with aws.calling(f"delete {uri}"):
            self._client.delete_object(Bucket=bucket, Key=key)

    def names(self, uri: str) -> Iterator[str]:
        """Keys below a prefix, without the prefix."""
        bucket, prefix = aws.split_s3_uri(uri)
        with aws.calling(f"list {uri}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield str(item["Key"]).removeprefix(prefix)
