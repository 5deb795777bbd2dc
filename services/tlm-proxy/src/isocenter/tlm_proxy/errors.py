"""What goes wrong here, and what a client is told: one table.

Beside the tree of isocenter.core.errors::

    IsocenterError
    ├── BadRequestError        the request can't be read
    ├── TooLargeError          its body is longer than any request of ours
    ├── UnauthorizedError      no token, or not a good one
    ├── LevelsUnavailableError the frame's format has no levels
    ├── LevelOutOfRangeError   the frame has levels, not the one asked for
    ├── KeysUnavailableError   the issuer's keys can't be read
    └── AwsError
        ├── CredentialsError   HealthImaging does not know the proxy's credentials
        └── DeadlineError      no answer in time
"""

from dataclasses import dataclass

from isocenter.core.errors import (
    AwsError,
    BusyError,
    DeniedError,
    IsocenterError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)


class BadRequestError(IsocenterError):
    """The request can't be read; the text names the part."""


class TooLargeError(IsocenterError):
    """The request's body is longer than any request of ours."""


class UnauthorizedError(IsocenterError):
    """No token, or one that isn't accepted.

    Attributes:
        code: the error of RFC 6750 section 3.1, "" when no token was sent.
    """

    def __init__(self, message: str, *, code: str = "invalid_token") -> None:
        super().__init__(message)
        self.code = code


class LevelsUnavailableError(IsocenterError):
    """The frame is not an HTJ2K or JPEG 2000 codestream, so it has no levels."""


class LevelOutOfRangeError(IsocenterError):
    """The frame has no such level; the text names how many it has."""


class KeysUnavailableError(IsocenterError):
    """The token issuer's keys can't be read, so no token can be checked."""

    retryable = True


class CredentialsError(AwsError):
    """HealthImaging does not accept the proxy's own credentials."""


class DeadlineError(AwsError):
    """HealthImaging did not answer in time."""

    retryable = True


@dataclass(frozen=True)
class Answer:
    """What a client is told of a failure.

    Attributes:
        status: HTTP status.
        error: a fixed word for programs.
        message: a fixed text where the failure's own names things that are no
            business of a client (roles, hosts); None to use the failure's own.
        retry_after: seconds for Retry-After; None for no such header.
    """

    status: int
    error: str
    message: str | None = None
    retry_after: int | None = None


ANSWERS: dict[type[Exception], Answer] = {
    BadRequestError: Answer(400, "BadRequest"),
    TooLargeError: Answer(413, "TooLarge"),
    UnauthorizedError: Answer(401, "Unauthorized"),
    LevelsUnavailableError: Answer(400, "LevelsUnavailable"),
    LevelOutOfRangeError: Answer(400, "LevelOutOfRange"),
    KeysUnavailableError: Answer(
        503, "KeysUnavailable", "tokens can't be checked at the moment", 5
    ),
    NotFoundError: Answer(
        404, "NotFound", "HealthImaging has no such data store, image set or frame"
    ),
    DeniedError: Answer(
        403, "Forbidden", "HealthImaging does not let the proxy read this frame"
    ),
    CredentialsError: Answer(
        502, "UpstreamCredentials", "HealthImaging refused the proxy's credentials"
    ),
    RefusedError: Answer(400, "RefusedByHealthImaging"),
    BusyError: Answer(
        503, "Busy", "HealthImaging is throttling, or at work on this; try again", 1
    ),
    DeadlineError: Answer(
        504, "UpstreamTimeout", "HealthImaging did not answer in time"
    ),
    UnavailableError: Answer(
        502, "UpstreamUnavailable", "HealthImaging did not answer, or with an error"
    ),
    MalformedError: Answer(502, "MalformedFrame"),
}
"""Looked up along the failure's classes, most derived first."""

UNEXPECTED = Answer(500, "InternalError", "an error of the proxy; see its log")


def answer_for(error: Exception) -> Answer:
    """The row of ``ANSWERS`` for ``error``."""
    for kind in type(error).__mro__:
        if kind in ANSWERS:
            return ANSWERS[kind]
    return UNEXPECTED
