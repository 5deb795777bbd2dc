"""What an edge's failure is called in a condition. Pure."""

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

_QUOTA_CODES = frozenset(
    {
        "LimitExceededException",
        "ResourceLimitExceeded",
        "ServiceQuotaExceededException",
    }
)
_REASONS: tuple[tuple[type[IsocenterError], str], ...] = (
    (DeniedError, "AccessDenied"),
    (BusyError, "Throttled"),
    (UnavailableError, "AwsUnavailable"),
    (NotFoundError, "NotFound"),
    (RefusedError, "RequestRefused"),
    (MalformedError, "Malformed"),
)


def reason(error: IsocenterError) -> str:
    """The condition's reason for ``error``."""
    if isinstance(error, AwsError) and error.code in _QUOTA_CODES:
        return "QuotaExceeded"
    return next((word for kind, word in _REASONS if isinstance(error, kind)), "Error")


def final(error: IsocenterError) -> bool:
    """Whether trying the same again is pointless.

    Only a refused request is: what is denied or missing may be granted or made,
    and the resource that waits for it says so in its condition.
    """
    return isinstance(error, RefusedError)
