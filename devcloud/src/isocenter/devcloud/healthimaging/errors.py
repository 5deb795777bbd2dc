"""The errors a HealthImaging caller can see, as the service words them.

ServiceError                    x-amzn-ErrorType             status
  ValidationError               ValidationException           400
  AccessDeniedError             AccessDeniedException         403
  ResourceNotFoundError         ResourceNotFoundException     404
  NotAcceptableError            NotAcceptableException        406
  ConflictError                 ConflictException             409
  ServiceQuotaExceededError     ServiceQuotaExceededException 402
  ThrottlingError               ThrottlingException           429
  InternalServerError           InternalServerException       500
  NotBuiltError                 NotImplementedException       501 (ours alone)
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ERRORS",
    "AccessDeniedError",
    "ConflictError",
    "InternalServerError",
    "NotAcceptableError",
    "NotBuiltError",
    "ResourceNotFoundError",
    "ServiceError",
    "ServiceQuotaExceededError",
    "ThrottlingError",
    "ValidationError",
]


class ServiceError(Exception):
    """An error answer: a name from the service model, a status, a text."""

    code: ClassVar[str]
    status: ClassVar[int]


class ValidationError(ServiceError):
    """The request breaks a rule of the service model or of the service."""

    code = "ValidationException"
    status = 400


class AccessDeniedError(ServiceError):
    """The caller may not do this."""

    code = "AccessDeniedException"
    status = 403


class ResourceNotFoundError(ServiceError):
    """The data store, job, image set, version or frame does not exist."""

    code = "ResourceNotFoundException"
    status = 404


class NotAcceptableError(ServiceError):
    """The answer cannot be given in a form that the caller accepts."""

    code = "NotAcceptableException"
    status = 406


class ConflictError(ServiceError):
    """The resource is in a state that does not allow the call."""

    code = "ConflictException"
    status = 409


class ServiceQuotaExceededError(ServiceError):
    """A quota is used up; HealthImaging answers 402, which SDKs don't retry."""

    code = "ServiceQuotaExceededException"
    status = 402


class ThrottlingError(ServiceError):
    """Too many calls a second."""

    code = "ThrottlingException"
    status = 429


class InternalServerError(ServiceError):
    """The service failed."""

    code = "InternalServerException"
    status = 500


class NotBuiltError(ServiceError):
    """An operation of the real service that devcloud does not have."""

    code = "NotImplementedException"
    status = 501


ERRORS: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (
        ValidationError,
        AccessDeniedError,
        ResourceNotFoundError,
        NotAcceptableError,
        ConflictError,
        ServiceQuotaExceededError,
        ThrottlingError,
        InternalServerError,
    )
}
