"""The edge to HealthImaging: GetImageFrame as a stream, with our errors."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from botocore.exceptions import ClientError
from yarl import URL

from isocenter.core import aws
from isocenter.core.errors import AwsError, BusyError, DeniedError, UnavailableError
from isocenter.tlm_proxy.errors import CredentialsError, DeadlineError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.signing import FrameSigner

log = logging.getLogger(__name__)

_OK = 200
_ERROR_BODY = 16 * 1024
"""Bytes of an error's body that are read."""
_UNKNOWN_TYPE = "application/octet-stream"
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_CONNECT_S = 5.0
_RIGHTS = frozenset({"AccessDenied", "AccessDeniedException"})
"""Codes of DeniedError that are about rights; the others are about credentials."""


class UpstreamFrame:
    """A frame that HealthImaging has begun to send."""

    def __init__(self, response: aiohttp.ClientResponse, key: FrameKey) -> None:
        self._response = response
        self._key = key
        media_type = response.headers.get("Content-Type", "")
        self.media_type = (
            media_type if media_type and media_type.isascii() else _UNKNOWN_TYPE
        )
        self.size = response.content_length

    async def pieces(self) -> AsyncIterator[bytes]:
        """The frame's bytes as they arrive, to the end.

        Raises:
            DeadlineError: no byte for ``upstream_idle_s``.
            UnavailableError: the connection broke.
        """
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except TimeoutError as error:
            raise DeadlineError(f"frame {self._key.frame_id} stopped coming") from error
        except aiohttp.ClientError as error:
            raise UnavailableError(
                f"frame {self._key.frame_id} broke off: {error}"
            ) from error

    def close(self) -> None:
        """Close the connection, unless the frame was read to its end."""
        self._response.close()


@dataclass(frozen=True)
class Upstream:
    """GetImageFrame, with retries before the first byte."""

    session: aiohttp.ClientSession
    signer: FrameSigner
    settings: Settings
    metrics: Metrics

    async def frame(self, key: FrameKey) -> UpstreamFrame:
        """GetImageFrame of ``key``, once its headers are here.

        Throttling and server errors are tried again with growing, random pauses,
        until ``upstream_attempts`` or ``upstream_deadline_s`` is used up.

        Raises:
            AwsError: NotFoundError, DeniedError, CredentialsError, RefusedError,
                BusyError, UnavailableError or DeadlineError.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.settings.upstream_deadline_s):
                response = await self._with_retries(key)
        except TimeoutError as error:
            self.metrics.upstream_calls.labels("deadline").inc()
            raise DeadlineError(
                f"frame {key.frame_id}: no answer within "
                f"{self.settings.upstream_deadline_s} s"
            ) from error
        self.metrics.upstream_first_byte.observe(time.monotonic() - started)
        return UpstreamFrame(response, key)

    async def _with_retries(self, key: FrameKey) -> aiohttp.ClientResponse:
        attempt = 1
        while True:
            try:
                return await self._call(key)
            except (BusyError, UnavailableError) as error:
                if attempt >= self.settings.upstream_attempts:
                    raise
                pause = _pause(attempt)
                log.info(
                    "GetImageFrame is tried again",
                    extra={"frame_id": key.frame_id, "attempt": attempt}
                    | {"error": str(error), "duration_s": round(pause, 3)},
                )
                await asyncio.sleep(pause)
                attempt += 1

    async def _call(self, key: FrameKey) -> aiohttp.ClientResponse:
        request = await self.signer.sign(key)
        try:
            response = await self.session.request(
                request.method,
                # Signed as written: not to be normalised on the way.
                URL(request.url, encoded=True),
                headers={**request.headers, "Accept-Encoding": "identity"},
                data=request.body,
                allow_redirects=False,
            )
        except aiohttp.SocketTimeoutError as error:
            self.metrics.upstream_calls.labels("no answer").inc()
            raise DeadlineError(
                f"could not read frame {key.frame_id}: no answer within "
                f"{self.settings.upstream_idle_s} s"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.metrics.upstream_calls.labels("no answer").inc()
            raise UnavailableError(
                f"could not read frame {key.frame_id}: {type(error).__name__}: {error}"
            ) from error
        self.metrics.upstream_calls.labels(str(response.status)).inc()
        if response.status == _OK:
            return response
        try:
            raise await _failure(response, key)
        finally:
            response.close()


def open_session(settings: Settings) -> aiohttp.ClientSession:
    """The HTTP session for HealthImaging; call inside the running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=settings.upstream_connections, keepalive_timeout=15
        ),
        timeout=aiohttp.ClientTimeout(
            total=None,
            sock_connect=_CONNECT_S,
            sock_read=settings.upstream_idle_s,
        ),
        # The frame is passed on as it was stored.
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "isocenter-tlm-proxy"},
    )


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: full jitter, as AWS's SDKs do."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing


async def _failure(response: aiohttp.ClientResponse, key: FrameKey) -> AwsError:
    """The failure that an error response tells of (rest-json protocol)."""
    body = bytearray()
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _ERROR_BODY:
                break
    except (aiohttp.ClientError, TimeoutError):
        body.clear()
    code, message = parse_error(
        response.status, response.headers.get("x-amzn-ErrorType", ""), bytes(body)
    )
    error = aws.translate(
        ClientError(
            {
                "Error": {"Code": code, "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": response.status},
            },
            "GetImageFrame",
        ),
        f"read frame {key.frame_id} of image set {key.image_set_id}",
    )
    if isinstance(error, DeniedError) and code not in _RIGHTS:
        return CredentialsError(str(error), code=code)
    return error


_CODES_BY_STATUS = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    # A load balancer's 503 and S3's alike mean: slower.
    503: "ThrottlingException",
}


def parse_error(status: int, kind: str, body: bytes) -> tuple[str, str]:
    """Code and message of a rest-json error.

    Args:
        status: HTTP status.
        kind: the x-amzn-ErrorType header, such as
            ``ThrottlingException:http://…``.
        body: JSON with ``message``, and ``__type`` or ``code``; or anything.
    """
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    code = kind or str(document.get("__type") or document.get("code") or "")
    code = code.split(":")[0].rsplit("#", 1)[-1]
    message = document.get("message") or document.get("Message") or ""
    return code or _CODES_BY_STATUS.get(status, f"HTTP{status}"), str(message)[:500]
