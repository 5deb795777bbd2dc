"""Failures as problem documents (RFC 9457), by the table in errors.py.

No document holds a patient attribute, a token or a value of the query: texts
are ours, or name ids of HealthImaging alone.
"""

import json
import logging
import math
import re
from collections.abc import Mapping
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Send

from isocenter.tlm_proxy.errors import (
    UNEXPECTED,
    Answer,
    BadRequestError,
    ForbiddenError,
    RangeUnsatisfiableError,
    UnauthorizedError,
    answer_for,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_URN = "urn:isocenter:problem:"
_REALM = 'Bearer realm="isocenter"'
_SERVER_ERROR = 500
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MOST_FIELDS = 5
"""Fields named in one answer to a request with many faults."""


class Problem:
    """A failure, as it is told.

    Attributes:
        status: HTTP status.
        headers: names in lower case, and values.
        body: the document, as JSON.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = json.dumps(
            {"type": kind, "title": title, "status": status, "detail": detail},
            ensure_ascii=False,
        ).encode()
        self.headers = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(self.body)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **(headers or {}),
        }

    async def send(self, send: Send, *, head: bool = False) -> None:
        """The answer; without its body to a HEAD."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(k.encode(), v.encode()) for k, v in self.headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": b"" if head else self.body})


def problem_of(error: Exception) -> Problem:
    """What a client is told of ``error``; one of ours is logged as well."""
    if isinstance(error, RequestValidationError):
        error = BadRequestError(_invalid_fields(error))
    if isinstance(error, HTTPException):
        return _routing(error)
    answer = answer_for(error)
    if answer is UNEXPECTED:
        log.error("a request failed unexpectedly", exc_info=error)
    elif answer.status >= _SERVER_ERROR or answer.message is not None:
        log.warning(
            "a request failed: %s",
            answer.error,
            extra={"status": answer.status, "error": str(error)},
        )
    return Problem(
        answer.status,
        _URN + _WORDS.sub("-", answer.error).lower(),
        _WORDS.sub(" ", answer.error).capitalize(),
        answer.message or str(error),
        _headers(error, answer),
    )


def _headers(error: Exception, answer: Answer) -> dict[str, str]:
    headers: dict[str, str] = {}
    wait = getattr(error, "retry_after", None)
    if wait is None:
        wait = answer.retry_after
    if wait is not None:
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    if isinstance(error, RangeUnsatisfiableError):
        headers["content-range"] = f"bytes */{error.length}"
        headers["accept-ranges"] = "bytes"
    # RFC 6750 section 3: which error, for whoever sent a token.
    if isinstance(error, UnauthorizedError | ForbiddenError):
        if error.code:
            text = str(error).replace("\\", "").replace('"', "'")
            headers["www-authenticate"] = (
                f'{_REALM}, error="{error.code}", error_description="{text}"'
            )
        elif isinstance(error, UnauthorizedError):
            headers["www-authenticate"] = _REALM
    return headers


def _routing(error: HTTPException) -> Problem:
    """No such path, or not with this method: FastAPI's own failures."""
    status = error.status_code
    phrase = HTTPStatus(status).phrase
    headers = {k.lower(): v for k, v in (error.headers or {}).items()}
    detail = str(error.detail or phrase)
    return Problem(status, "about:blank", phrase, detail, headers)


def _invalid_fields(error: RequestValidationError) -> str:
    """Which parameters aren't of their form; their values are not repeated."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}"
        for item in error.errors()[:_MOST_FIELDS]
    )
