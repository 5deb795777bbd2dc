"""The failures that cross an edge, translated there once.

::

    IsocenterError
    ├── ConfigurationError   a setting is missing or wrong: exit 2, never retried
    ├── MalformedError       bytes do not parse as what they claim: final
    ├── IntegrityError       a checksum differs: retried by reading again
    └── AwsError             an AWS call did not succeed
        ├── NotFoundError    the named thing does not exist: final
        ├── DeniedError      the role may not do this: final until someone acts
        ├── RefusedError     the request itself is wrong: final
        ├── BusyError        throttled, over quota, in conflict: requeue
        └── UnavailableError no answer, or a 5xx: retry with back-off

Every text names the thing and what to do, and never a patient attribute.
"""

__all__ = [
    "AwsError",
    "BusyError",
    "ConfigurationError",
    "DeniedError",
    "IntegrityError",
    "IsocenterError",
    "MalformedError",
    "NotFoundError",
    "RefusedError",
    "UnavailableError",
]


class IsocenterError(Exception):
    """Root of every failure that isocenter raises on purpose."""

    retryable = False


class ConfigurationError(IsocenterError):
    """A setting is missing or wrong; the process must not start."""


class MalformedError(IsocenterError):
    """Bytes do not parse as what they claim to be."""


class IntegrityError(IsocenterError):
    """Bytes parse, but a checksum or length differs from the recorded one."""

    retryable = True


class AwsError(IsocenterError):
    """An AWS call did not succeed.

    Attributes:
        code: the service's error code, "" when there was no answer.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(AwsError):
    """The named thing does not exist."""


class DeniedError(AwsError):
    """The role in use may not do this."""


class RefusedError(AwsError):
    """The request itself is wrong; the same request will be refused again."""


class BusyError(AwsError):
    """Throttled, over a quota, locked or in conflict: try again later.

    Botocore retries 429 by itself, but neither 402 ServiceQuotaExceeded nor
    409 Conflict: those reach us, and we put the work back.
    """

    retryable = True


class UnavailableError(AwsError):
    """No answer, or a server error, after botocore's own retries."""

    retryable = True
