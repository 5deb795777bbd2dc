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
from isocenter.operator.reasons import Reason

_QUOTA_CODES = frozenset(
    {
        "LimitExceededException",
        "ResourceLimitExceeded",
        "ServiceQuotaExceededException",
    }
)
_REASONS: tuple[tuple[type[IsocenterError], Reason], ...] = (
    (DeniedError, Reason.ACCESS_DENIED),
    (BusyError, Reason.THROTTLED),
    (UnavailableError, Reason.AWS_UNAVAILABLE),
    (NotFoundError, Reason.NOT_FOUND),
    (RefusedError, Reason.REQUEST_REFUSED),
    (MalformedError, Reason.MALFORMED),
)


def reason(error: IsocenterError) -> Reason:
    """The condition's reason for ``error``."""
    if isinstance(error, AwsError) and error.code in _QUOTA_CODES:
        return Reason.QUOTA_EXCEEDED
    return next(
        (word for kind, word in _REASONS if isinstance(error, kind)), Reason.ERROR
    )


def final(error: IsocenterError) -> bool:
    """Whether trying the same again is pointless.

    Only a refused request is: what is denied or missing may be granted or made,
    and the resource that waits for it says so in its condition.
    """
    return isinstance(error, RefusedError)
