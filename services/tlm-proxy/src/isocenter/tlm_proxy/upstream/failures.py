"""What HealthImaging's error answers mean: our failures, and what the guard learns."""

import email.utils
import json
import time
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from isocenter.core import aws
from isocenter.core.errors import AwsError, BusyError, DeniedError
from isocenter.tlm_proxy.errors import CredentialsError, OverloadedError

SERVER_ERROR = 500
_RIGHTS = frozenset({"AccessDenied", "AccessDeniedException"})
"""Codes of DeniedError that are about rights; the others are about credentials."""
_NOT_THROTTLING = frozenset(
    {"ConflictException", "ServiceQuotaExceededException", "ResourceInUse"}
)
"""Codes of BusyError that do not ask for fewer calls."""
_CODES_BY_STATUS = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    # A load balancer's 503 and S3's alike mean: slower.
    503: "ThrottlingException",
}
_LONGEST_MESSAGE = 500
_SOON_S = 1.0
"""Retry-After of a throttled call, if HealthImaging doesn't say."""


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
    # The second: JSON that is nested too deeply.
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {}
    code = kind or str(document.get("__type") or document.get("code") or "")
    code = code.split(":")[0].rsplit("#", 1)[-1]
    message = str(document.get("message") or document.get("Message") or "")
    return (
        code or _CODES_BY_STATUS.get(status, f"HTTP{status}"),
        message[:_LONGEST_MESSAGE],
    )


def failure(
    status: int,
    code: str,
    message: str,
    *,
    operation: str,
    what: str,
    pause: float | None,
) -> AwsError:
    """The failure that an error answer tells of.

    Args:
        status: HTTP status.
        code: of ``parse_error``.
        message: the same.
        operation: such as "GetImageFrame".
        what: the call in words, such as "read frame …".
        pause: seconds of Retry-After; None if there is none.
    """
    error = aws.translate(
        ClientError(
            {
                "Error": {"Code": code, "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": status},
            },
            operation,
        ),
        what,
    )
    if isinstance(error, DeniedError) and code not in _RIGHTS:
        return CredentialsError(str(error), code=code)
    if isinstance(error, BusyError):
        return OverloadedError(
            str(error),
            retry_after=_SOON_S if pause is None else pause,
            code=code,
            said=pause is not None,
        )
    return error


def is_throttling(error: AwsError) -> bool:
    """Whether HealthImaging asks for fewer calls."""
    return isinstance(error, BusyError) and error.code not in _NOT_THROTTLING


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 section 10.2.3).

    Args:
        value: seconds, or an HTTP date.
        now: seconds since the epoch; the clock's if None.

    Returns:
        None if there is no header, or it can't be read.
    """
    if not value:
        return None
    written = value.strip()
    if written.isascii() and written.isdigit():
        return float(written[:9])
    try:
        at = email.utils.parsedate_to_datetime(written)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - (time.time() if now is None else now))
