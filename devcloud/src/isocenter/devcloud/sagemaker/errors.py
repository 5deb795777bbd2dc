"""Errors of the SageMaker API as its JSON 1.1 protocol answers them.

ApiError                     HTTP status and code as AWS names them
+-- ValidationError          400 ValidationException (not in the service model, real)
+-- ResourceNotFoundError    400 ResourceNotFound
+-- ConflictError            400 ConflictException
+-- ResourceLimitError       400 ResourceLimitExceeded
+-- NotBuiltError            501 NotImplemented: AWS can do it, this cloud can not
"""

from typing import ClassVar


class ApiError(Exception):
    """What a caller is told: `code` goes into `__type`, the text into `message`."""

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 500


class ValidationError(ApiError):
    """The request breaks a rule that the request alone shows."""

    code = "ValidationException"
    status = 400


class ResourceNotFoundError(ApiError):
    """A pipeline, an execution or a job that isn't there."""

    code = "ResourceNotFound"
    status = 400


class ConflictError(ApiError):
    """The state of the resource forbids the call."""

    code = "ConflictException"
    status = 400


class ResourceLimitError(ApiError):
    """A quota of the account is used up."""

    code = "ResourceLimitExceeded"
    status = 400


class NotBuiltError(ApiError):
    """AWS has it, devcloud has not; botocore does not retry a 501."""

    code = "NotImplemented"
    status = 501
