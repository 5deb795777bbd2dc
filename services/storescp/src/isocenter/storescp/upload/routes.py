"""Learns from botocore where a bucket is, by what botocore itself sends.

Endpoint variables, addressing style, dual-stack, FIPS, access points and redirects to
the bucket's own region are botocore's to know. A bucket's first object is put by
boto3; the request that S3 accepted says host, path and signing scope for the others.
"""

import logging
import re
import threading
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.utils import get_environ_proxies

from isocenter.storescp.upload.sigv4 import Route

log = logging.getLogger(__name__)

_EVENT = "before-send.s3.PutObject"
_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/")
_SESSION = "x-amz-s3session-token"
"""S3 Express signs by sessions of its own."""
_PORTS = {"http": 80, "https": 443}


def route_of(url: str, headers: dict[str, str], key: str) -> Route | None:
    """The route that a request of botocore took.

    Args:
        url: absolute, path encoded.
        headers: names in lower case.
        key: object key that was put.

    Returns:
        None if such requests can't be made here: not signed by SigV4 in headers, to
        be sent through a proxy, or of an unknown form.
    """
    parts = urlsplit(url)
    scope = _SCOPE.match(headers.get("authorization", ""))
    encoded = quote(key, safe="/~")
    if (
        scope is None
        or _SESSION in headers
        or parts.scheme not in _PORTS
        or parts.hostname is None
        or parts.query
        or not parts.path.endswith("/" + encoded)
        or get_environ_proxies(url)
    ):
        return None
    port = parts.port or _PORTS[parts.scheme]
    # As botocore writes and signs it: without the scheme's own port.
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Route(
        tls=parts.scheme == "https",
        host=parts.hostname,
        port=port,
        authority=host if port == _PORTS[parts.scheme] else f"{host}:{port}",
        path=parts.path.removesuffix(encoded),
        region=scope[1],
        service=scope[2],
        user_agent=headers.get("user-agent", "isocenter"),
    )


class Routes:
    """Routes by bucket; safe for threads.

    Args:
        s3: the boto3 client that puts what has no route yet.
    """

    def __init__(self, s3: Any) -> None:
        self._proxied = bool(s3.meta.config.proxies)
        self._known: dict[str, Route | None] = {}
        self._refused: set[str] = set()
        self._sent = threading.local()
        s3.meta.events.register(_EVENT, self._sending)

    def _sending(self, request: Any, **_: Any) -> None:
        """Remember this thread's request; after a redirect, the last one."""
        headers = {
            name.lower(): value if isinstance(value, str) else value.decode("latin-1")
            for name, value in request.headers.items()
        }
        self._sent.request = (str(request.url), headers)

    def of(self, bucket: str) -> Route | None:
        """The bucket's route, None if there is none (yet)."""
        return self._known.get(bucket)

    def accepted(self, bucket: str, key: str) -> None:
        """S3 took what this thread put by boto3 just now."""
        request: tuple[str, dict[str, str]] | None = getattr(
            self._sent, "request", None
        )
        if request is None or self._proxied or bucket in self._known:
            return
        self._known[bucket] = route_of(request[0], request[1], key)

    def refused(self, bucket: str) -> None:
        """S3 took by boto3 what it refused by the route.

        Once, the bucket may have moved, and botocore is asked again; twice, what is
        sent here is not what S3 wants, and the bucket is left to boto3.
        """
        if bucket in self._refused:
            self._known[bucket] = None
            log.warning(
                "S3 takes requests of boto3 only for a bucket",
                extra={"key": f"s3://{bucket}"},
            )
            return
        self._refused.add(bucket)
        self._known.pop(bucket, None)
