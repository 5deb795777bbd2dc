"""PutObject of a spool file without botocore's transport: signed, streamed, kept alive.

One attempt; what it means is ``uploader``'s to judge.
"""

import binascii
import html
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path

from isocenter.storescp.upload.connections import Connections
from isocenter.storescp.upload.routes import Routes
from isocenter.storescp.upload.sigv4 import put_head

_SUCCESS = 200
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
OPERATION = "PutObject"


def client_error(status: int, body: bytes) -> ClientError:
    """An answer of S3 as the exception that botocore would raise for it.

    Args:
        status: of HTTP.
        body: XML ``<Error>``, or whatever came.
    """
    text = body.decode("utf-8", "replace")
    code, message = _CODE.search(text), _MESSAGE.search(text)
    return ClientError(
        {
            "Error": {
                "Code": html.unescape(code[1]) if code else str(status),
                "Message": html.unescape(message[1]) if message else "",
            },
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        OPERATION,
    )


def base64_of(digest: bytes) -> str:
    """A checksum as S3's headers have it."""
    return binascii.b2a_base64(digest, newline=False).decode("ascii")


class FilePut(NamedTuple):
    """A file that is to become an object.

    Attributes:
        bucket: bucket name.
        key: object key.
        path: the file.
        sha256: of the whole file, hexadecimal. S3 compares it twice, as the signed
            payload's and as the object's checksum, which it keeps.
        content_type: of the object.
    """

    bucket: str
    key: str
    path: str | Path
    sha256: str
    content_type: str = "application/dicom"

    @property
    def words(self) -> str:
        """For errors: what was tried."""
        return f"put s3://{self.bucket}/{self.key}"


class DirectPut:
    """Puts files by the routes that botocore found.

    Args:
        routes: where buckets are.
        credentials: of botocore, refreshing themselves.
        connections: to S3.
    """

    def __init__(
        self, routes: Routes, credentials: Any, connections: Connections
    ) -> None:
        self.routes = routes
        self._credentials = credentials
        self._connections = connections

    @classmethod
    def beside(cls, s3: Any, *, pool: int, timeout_s: float = 60.0) -> Self | None:
        """For the endpoints, credentials and authorities of a boto3 client.

        Args:
            s3: made by ``isocenter.core.aws.client``.
            pool: connections kept.
            timeout_s: without progress.

        Returns:
            None if there are no credentials: boto3 has the sentence for that.
        """
        try:
            credentials = boto3.Session().get_credentials()
            session = botocore.session.get_session()
            authorities = session.get_config_variable("ca_bundle") or get_cert_path(
                verify=True
            )
        except BotoCoreError:
            return None
        if credentials is None:
            return None
        connections = Connections(authorities, timeout_s=timeout_s, keep=pool)
        return cls(Routes(s3), credentials, connections)

    def put(self, request: FilePut) -> bool:
        """Put a file once.

        Returns:
            False if the bucket has no route: nothing was sent.

        Raises:
            ClientError: S3's answer, if it is not 200.
            BotoCoreError: no usable credentials.
            TornError: there is no answer; the object may have been put.
            OSError: the file can't be read.
        """
        route = self.routes.of(request.bucket)
        if route is None:
            return False
        keys = self._credentials.get_frozen_credentials()
        if not keys.access_key:
            raise NoCredentialsError
        headers = {
            "content-type": request.content_type,
            "x-amz-checksum-sha256": base64_of(bytes.fromhex(request.sha256)),
        }
        file = os.open(request.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            length = os.fstat(file).st_size
            head = put_head(
                route,
                request.key,
                headers,
                length=length,
                sha256=request.sha256,
                keys=keys,
                now=datetime.now(UTC),
            )
            answer = self._connections.send_file(route, head, file, length)
        finally:
            os.close(file)
        if answer.status != _SUCCESS:
            raise client_error(answer.status, answer.body)
        return True

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()
