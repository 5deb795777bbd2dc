"""What is told of failures, and what is not."""

import json
import logging

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from isocenter.core import errors as core
from isocenter.tlm_proxy import errors
from isocenter.tlm_proxy.http.problems import MEDIA_TYPE, problem_of

URN = "urn:isocenter:problem:"


@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (errors.BadRequestError("x"), 400, "bad-request", {}),
        (errors.TokenInUrlError(), 400, "token-in-url", {}),
        (errors.TooLargeError("x"), 413, "too-large", {}),
        (
            errors.UnauthorizedError("x", code=""),
            401,
            "unauthorized",
            {"www-authenticate": 'Bearer realm="isocenter"'},
        ),
        (
            errors.UnauthorizedError('the "token"'),
            401,
            "unauthorized",
            {
                "www-authenticate": 'Bearer realm="isocenter", '
                'error="invalid_token", error_description="the \'token\'"'
            },
        ),
        (errors.ForbiddenError("x"), 403, "forbidden", {"www-authenticate": None}),
        (
            errors.ForbiddenError("x", code="insufficient_scope"),
            403,
            "forbidden",
            {
                "www-authenticate": 'Bearer realm="isocenter", '
                'error="insufficient_scope", error_description="x"'
            },
        ),
        (core.NotFoundError("x"), 404, "not-found", {}),
        (core.DeniedError("x"), 403, "upstream-forbidden", {}),
        (errors.LevelOutOfRangeError("x"), 416, "level-out-of-range", {}),
        (
            errors.RangeUnsatisfiableError(77),
            416,
            "range-unsatisfiable",
            {"content-range": "bytes */77"},
        ),
        (errors.CredentialsError("x"), 502, "upstream-credentials", {}),
        (core.UnavailableError("x"), 502, "upstream-unavailable", {}),
        (core.MalformedError("x"), 502, "malformed-frame", {}),
        (core.BusyError("x"), 503, "busy", {"retry-after": "1"}),
        (
            errors.OverloadedError("x", retry_after=2.2),
            503,
            "busy",
            {"retry-after": "3"},
        ),
        (
            errors.CircuitOpenError("x", retry_after=0.01),
            503,
            "upstream-failing",
            {"retry-after": "1"},
        ),
        (errors.KeysUnavailableError("x"), 503, "keys-unavailable", {}),
        (errors.DeadlineError("x"), 504, "upstream-timeout", {}),
        (ValueError("inner matter"), 500, "internal-error", {}),
    ],
)
def test_the_table(error, status, kind, headers):
    problem = problem_of(error)
    told = json.loads(problem.body)
    assert (problem.status, told["status"], told["type"]) == (
        status,
        status,
        URN + kind,
    )
    assert set(told) == {"type", "title", "status", "detail"}
    assert told["title"]
    assert told["detail"]
    assert "inner matter" not in told["detail"]
    assert problem.headers["content-type"] == MEDIA_TYPE
    assert problem.headers["cache-control"] == "no-store"
    assert problem.headers["content-length"] == str(len(problem.body))
    for name, value in headers.items():
        assert problem.headers.get(name) == value


def test_aws_texts_are_not_passed_on(caplog):
    text = "role arn:aws:iam::111122223333:role/x may not"
    with caplog.at_level(logging.WARNING):
        for kind in (core.DeniedError, core.NotFoundError, core.BusyError):
            assert "111122223333" not in problem_of(kind(text)).body.decode()
    assert len(caplog.records) == 3


def test_failures_of_routing():
    problem = problem_of(HTTPException(405, headers={"Allow": "GET"}))
    assert json.loads(problem.body)["type"] == "about:blank"
    assert problem.headers["allow"] == "GET"


def test_values_of_wrong_parameters_are_not_repeated():
    wrong = {"loc": ("query", "limit"), "msg": "not a number", "input": "secret"}
    problem = problem_of(RequestValidationError([wrong]))
    assert problem.status == 400
    assert json.loads(problem.body)["detail"] == "limit: not a number"
