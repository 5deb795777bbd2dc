"""GetImageFrame as a signed HTTP request, by botocore's own rules.

Endpoint, host prefix, path and signing name come from botocore's client and
service model, so that AWS's variables (``AWS_ENDPOINT_URL*``,
``AWS_DISABLE_HOST_PREFIX_INJECTION``, FIPS, profiles, roles) mean what they mean
for every SDK; only the bytes are moved by aiohttp, because botocore's own
transport would cost a thread a frame.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from isocenter.core import aws
from isocenter.core.errors import AwsError
from isocenter.tlm_proxy.errors import CredentialsError
from isocenter.tlm_proxy.frames.key import FrameKey


@dataclass(frozen=True)
class SignedRequest:
    """What is to be sent: HTTP method, absolute URL, headers and body."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class FrameSigner:
    """Makes signed GetImageFrame requests."""

    def __init__(self, client: Any, session: Any) -> None:
        """Take the endpoint from ``client`` and credentials from ``session``.

        Args:
            client: a boto3 client of medical-imaging.
            session: a boto3 session, asked for credentials when first needed.
        """
        operation = client.meta.service_model.operation_model("GetImageFrame")
        self._method: str = operation.http["method"]
        self._path: str = operation.http["requestUri"]
        prefix = (operation.endpoint or {}).get("hostPrefix", "")
        if not client.meta.config.inject_host_prefix:
            prefix = ""
        scheme, host, path, _, _ = urlsplit(client.meta.endpoint_url)
        self._base = urlunsplit((scheme, prefix + host, path.rstrip("/"), "", ""))
        self._region: str = client.meta.region_name
        self._service: str = client.meta.service_model.signing_name
        self._session = session
        self._credentials: Any = None
        self._finding = asyncio.Lock()

    @classmethod
    def connect(cls) -> Self:
        """A signer from AWS's own variables and files.

        Raises:
            ConfigurationError: no region is set.
        """
        return cls(aws.client("medical-imaging"), boto3.Session())

    async def credentials(self) -> Any:
        """Frozen credentials, refreshed in a thread when they are about to end.

        Raises:
            CredentialsError: there are none, or they can't be refreshed.
        """
        async with self._finding:
            if self._credentials is None:
                with _fetching_credentials():
                    self._credentials = await asyncio.to_thread(
                        self._session.get_credentials
                    )
        if self._credentials is None:
            raise CredentialsError(
                "no AWS credentials: give the pod a role, or set AWS's variables"
            )
        refresh_needed = getattr(self._credentials, "refresh_needed", None)
        if refresh_needed is None or not refresh_needed():
            return self._credentials.get_frozen_credentials()
        with _fetching_credentials():
            return await asyncio.to_thread(self._credentials.get_frozen_credentials)

    async def sign(self, key: FrameKey) -> SignedRequest:
        """GetImageFrame of ``key``, signed now.

        Raises:
            CredentialsError: there are no credentials to sign with.
        """
        request = AWSRequest(
            method=self._method,
            url=self._base
            + self._path.format(
                datastoreId=key.datastore_id, imageSetId=key.image_set_id
            ),
            data=json.dumps({"imageFrameId": key.frame_id}).encode(),
            headers={"Content-Type": "application/json"},
        )
        credentials = await self.credentials()
        SigV4Auth(credentials, self._service, self._region).add_auth(request)
        return SignedRequest(
            method=request.method,
            url=request.url,
            headers=dict(request.headers.items()),
            body=request.data,
        )


@contextmanager
def _fetching_credentials() -> Iterator[None]:
    """Any AWS failure inside is one of credentials."""
    try:
        with aws.calling("get AWS credentials"):
            yield
    except AwsError as error:
        raise CredentialsError(str(error), code=error.code) from error
    except OSError as error:
        # botocore lets a web identity's token file that is not there through.
        raise CredentialsError(f"could not get AWS credentials: {error}") from error
