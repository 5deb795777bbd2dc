"""S3, as storage commitment asks it: is the object there, and what do documents say."""

import base64
import gzip
from collections.abc import Iterator
from typing import Any

from isocenter.core.aws import calling
from isocenter.core.errors import NotFoundError

_FULL_OBJECT = "FULL_OBJECT"


class Objects:
    """Reads of one S3.

    Args:
        s3: a boto3 S3 client; safe for threads.
    """

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def sha256(self, bucket: str, key: str) -> str | None:
        """S3's own SHA-256 of an object, hexadecimal; "" if it keeps none of the whole.

        Returns:
            None if there is no such object.

        Raises:
            AwsError: S3 could not be asked.
        """
        try:
            with calling(f"look at s3://{bucket}/{key}"):
                head = self._s3.head_object(
                    Bucket=bucket, Key=key, ChecksumMode="ENABLED"
                )
        except NotFoundError:
            return None
        checksum = str(head.get("ChecksumSHA256") or "")
        # In parts S3 keeps a checksum of the parts' checksums: "<base64>-<parts>".
        if "-" in checksum or head.get("ChecksumType", _FULL_OBJECT) != _FULL_OBJECT:
            return ""
        return base64.b64decode(checksum).hex()

    def keys(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[str]:
        """Keys under a prefix, in their order.

        Raises:
            AwsError: S3 could not be asked.
        """
        request = {"Bucket": bucket, "Prefix": prefix}
        if start_after:
            request["StartAfter"] = start_after
        while True:
            with calling(f"list s3://{bucket}/{prefix}"):
                page = self._s3.list_objects_v2(**request)
            for item in page.get("Contents", ()):
                yield str(item["Key"])
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, bucket: str, key: str) -> bytes | None:
        """A document, None if there is none.

        Raises:
            AwsError: S3 could not be asked.
        """
        try:
            with calling(f"read s3://{bucket}/{key}"):
                answer = self._s3.get_object(Bucket=bucket, Key=key)
                body: bytes = answer["Body"].read()
        except NotFoundError:
            return None
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
