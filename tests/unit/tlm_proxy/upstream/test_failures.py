"""What error answers mean."""

import pytest

from isocenter.core.errors import (
    DeniedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from isocenter.tlm_proxy.errors import CredentialsError, OverloadedError
from isocenter.tlm_proxy.upstream.failures import (
    failure,
    is_throttling,
    parse_error,
    parse_retry_after,
)


@pytest.mark.parametrize(
    ("status", "kind", "body", "parsed"),
    [
        (429, "ThrottlingException:http://x/", b"{}", ("ThrottlingException", "")),
        (400, "", b'{"__type":"a.b#Bad","message":"m"}', ("Bad", "m")),
        (400, "", b'{"code":"Bad","Message":"M"}', ("Bad", "M")),
        (404, "", b"<html>", ("ResourceNotFoundException", "")),
        (418, "", b"[1]", ("HTTP418", "")),
        (500, "", b"\xff", ("HTTP500", "")),
        (500, "", b"[" * 100_000, ("HTTP500", "")),
        (400, "E", b'{"message":"' + b"m" * 999 + b'"}', ("E", "m" * 500)),
    ],
)
def test_errors_of_rest_json(status, kind, body, parsed):
    assert parse_error(status, kind, body) == parsed


@pytest.mark.parametrize(
    ("status", "code", "kind", "throttling"),
    [
        (404, "ResourceNotFoundException", NotFoundError, False),
        (403, "AccessDeniedException", DeniedError, False),
        (403, "ExpiredToken", CredentialsError, False),
        (403, "SignatureDoesNotMatch", CredentialsError, False),
        (400, "ValidationException", RefusedError, False),
        (406, "NotAcceptableException", RefusedError, False),
        (409, "ConflictException", OverloadedError, False),
        (402, "ServiceQuotaExceededException", OverloadedError, False),
        (429, "ThrottlingException", OverloadedError, True),
        (503, "ThrottlingException", OverloadedError, True),
        (500, "InternalServerException", UnavailableError, False),
        (301, "HTTP301", RefusedError, False),
    ],
)
def test_kinds_of_failure(status, code, kind, throttling):
    error = failure(status, code, "m", operation="Op", what="read it", pause=None)
    assert type(error) is kind
    assert error.code == code
    assert "read it" in str(error)
    assert is_throttling(error) == throttling
    if kind is OverloadedError:
        assert (error.retry_after, error.said) == (1.0, False)


def test_its_own_retry_after_is_kept():
    error = failure(429, "Throttling", "", operation="Op", what="read", pause=7.0)
    assert (error.retry_after, error.said) == (7.0, True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("5", 5.0),
        (" 12 ", 12.0),
        ("9" * 400, 999999999.0),
        ("1.5", None),
        ("-1", None),
        ("soon", None),
        ("٣", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 -0000", 10.0),
    ],
)
def test_retry_after(value, seconds):
    assert parse_retry_after(value, now=90.0) == seconds
