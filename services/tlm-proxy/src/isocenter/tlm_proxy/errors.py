"""What goes wrong here, and what a client is told: one table.

Beside the tree of isocenter.core.errors::

    IsocenterError
    ├── BadRequestError        the request can't be read
    ├── TooLargeError          its body is longer than any request of ours
    ├── TokenInUrlError        a token in the query, where logs and caches see it
    ├── RangeUnsatisfiableError  Range begins past the end
    ├── UnauthorizedError      no token, or not a good one
    ├── LevelsUnavailableError the frame's format has no levels
    ├── LevelOutOfRangeError   the frame has levels, not the one asked for
    ├── KeysUnavailableError   the issuer's keys can't be read
    ├── ForbiddenError         a good token, without the right to this
    ├── NotAcceptableError     the answer's form isn't one that Accept takes
    ├── NoThumbnailError       there is no picture to be made of this
    ├── RegionNotServedError   the path names a region the proxy doesn't serve
    ├── UsageUnsetError        the proxy was not told where runs are
    ├── RunsUnreadableError    the runs' objects in S3 can't be read
    └── AwsError
        ├── NotInStudyError    a NotFoundError: the study lacks what the path names
        ├── CredentialsError   HealthImaging does not know the proxy's credentials
        ├── OverloadedError    a BusyError that says when to try again
        ├── CircuitOpenError   an UnavailableError that says when to try again
        ├── AnswerTooLargeError  an answer is longer than its limit
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


class TokenInUrlError(IsocenterError):
    """A token in the query, where logs, caches and Referer would see it."""

    def __init__(self) -> None:
        super().__init__(
            "a token in the URL is not read, and has been seen by whatever logs "
            "URLs: send it as Authorization: Bearer"
        )


class RangeUnsatisfiableError(IsocenterError):
    """Range begins past the end.

    Attributes:
        length: bytes of what the range was asked of.
    """

    def __init__(self, length: int) -> None:
        super().__init__(f"the range begins past the end: there are {length} bytes")
        self.length = length


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


class ForbiddenError(IsocenterError):
    """A good token, without the right to what is asked for.

    Attributes:
        code: "insufficient_scope" (RFC 6750 section 3.1), else "".
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class OverloadedError(BusyError):
    """More calls than HealthImaging or the proxy takes now.

    Attributes:
        retry_after: seconds until another try makes sense.
        said: whether these are HealthImaging's own seconds.
    """

    def __init__(
        self, message: str, *, retry_after: float, code: str = "", said: bool = False
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.said = said


class CircuitOpenError(UnavailableError):
    """HealthImaging failed again and again, so it is not asked for a while.

    Attributes:
        retry_after: seconds until another try makes sense.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswerTooLargeError(AwsError):
    """HealthImaging's answer is longer than is read."""


class NotAcceptableError(IsocenterError):
    """The answer is not there in a form that Accept takes; the text says in which."""


class NoThumbnailError(IsocenterError):
    """There is no picture to be made: no pixels, or of a kind that isn't drawn."""


class RegionNotServedError(IsocenterError):
    """The path names a region that the proxy doesn't serve."""


class NotInStudyError(NotFoundError):
    """The study's image sets lack the series, instance or frame of the path."""


class UsageUnsetError(IsocenterError):
    """The proxy was not told where the datasets of runs are."""


class RunsUnreadableError(IsocenterError):
    """The objects of runs in S3 can't be listed."""

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
    TokenInUrlError: Answer(400, "TokenInUrl"),
    RangeUnsatisfiableError: Answer(416, "RangeUnsatisfiable"),
    UnauthorizedError: Answer(401, "Unauthorized"),
    LevelsUnavailableError: Answer(400, "LevelsUnavailable"),
    LevelOutOfRangeError: Answer(416, "LevelOutOfRange"),
    KeysUnavailableError: Answer(
        503, "KeysUnavailable", "tokens can't be checked at the moment", 5
    ),
    NotFoundError: Answer(
        404, "NotFound", "HealthImaging has no such data store, image set or frame"
    ),
    DeniedError: Answer(
        403, "UpstreamForbidden", "HealthImaging does not let the proxy read this frame"
    ),
    ForbiddenError: Answer(403, "Forbidden"),
    CircuitOpenError: Answer(
        503,
        "UpstreamFailing",
        "HealthImaging keeps failing, so it is not asked for a moment",
        5,
    ),
    AnswerTooLargeError: Answer(
        502, "UpstreamTooLarge", "HealthImaging's answer is longer than its limit"
    ),
    CredentialsError: Answer(
        502, "UpstreamCredentials", "HealthImaging refused the proxy's credentials"
    ),
    RefusedError: Answer(400, "RefusedByHealthImaging"),
    BusyError: Answer(
        503, "Busy", "HealthImaging is throttling, or at work on this; try again", 1
    ),
    NotAcceptableError: Answer(406, "NotAcceptable"),
    NoThumbnailError: Answer(404, "NoThumbnail"),
    RegionNotServedError: Answer(404, "RegionNotServed"),
    NotInStudyError: Answer(404, "NotInStudy"),
    UsageUnsetError: Answer(404, "UsageUnset"),
    RunsUnreadableError: Answer(
        502, "RunsUnreadable", "the datasets of runs can't be listed in S3", 5
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
