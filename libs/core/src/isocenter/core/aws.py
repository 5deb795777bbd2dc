"""AWS clients, and the one place where botocore's errors become ours.

Region, credentials and endpoints come from AWS's own variables and files, so no
code of isocenter knows whether an endpoint is AWS's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
)

from isocenter.core.errors import (
    AwsError,
    BusyError,
    ConfigurationError,
    DeniedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

_BY_CODE: dict[str, type[AwsError]] = {
    **dict.fromkeys(
        (
            "404",
            "AWS.SimpleQueueService.NonExistentQueue",
            "NoSuchBucket",
            "NoSuchKey",
            "NotFound",
            "QueueDoesNotExist",
            "ResourceNotFound",
            "ResourceNotFoundException",
        ),
        NotFoundError,
    ),
    **dict.fromkeys(
        (
            "403",
            "AccessDenied",
            "AccessDeniedException",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        DeniedError,
    ),
    **dict.fromkeys(
        (
            "ConflictException",
            "LimitExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "ResourceInUse",
            "ResourceLimitExceeded",
            "ServiceQuotaExceededException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        BusyError,
    ),
    # A 400 at S3, though nothing is wrong with the request.
    **dict.fromkeys(("RequestTimeout", "RequestTimeoutException"), UnavailableError),
}
_BY_STATUS: dict[int, type[AwsError]] = {
    401: DeniedError,
    403: DeniedError,
    409: BusyError,
    429: BusyError,
}
"""For codes that are not known here. Only what is surely the request's own fault may
count as refused: a refusal is final, and a wrong clock or an old key is not."""
_SERVER_ERROR = 500


def client(
    service: str,
    *,
    pool: int = 10,
    timeout: float = 60.0,
    region: str | None = None,
) -> Any:
    """A boto3 client with isocenter's retry and time-out policy.

    Args:
        service: botocore's service name, such as "medical-imaging".
        pool: connections kept open; at least the number of threads that share it.
        timeout: seconds without a byte before a read is given up.
        region: where, if not in the environment's region.

    Raises:
        ConfigurationError: no region is set.
    """
    try:
        return boto3.client(
            service,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "max_attempts": 4},
                max_pool_connections=pool,
                connect_timeout=5,
                read_timeout=timeout,
                user_agent_extra="isocenter",
            ),
        )
    except NoRegionError as error:
        raise ConfigurationError("no AWS region: set AWS_DEFAULT_REGION") from error


def translate(error: Exception, what: str) -> AwsError:
    """The isocenter failure for a botocore one.

    Args:
        error: a ``ClientError`` or ``BotoCoreError``.
        what: the call in words, such as "start the import of s3://b/p/".
    """
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        code = str(answer.get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        otherwise = UnavailableError if status >= _SERVER_ERROR else RefusedError
        kind = _BY_CODE.get(code) or _BY_STATUS.get(status, otherwise)
        return kind(f"could not {what}: {code}: {answer.get('Message')}", code=code)
    if isinstance(error, ParamValidationError):
        return RefusedError(f"could not {what}: {error}")
    if isinstance(error, NoCredentialsError):
        return DeniedError(f"could not {what}: {error}")
    return UnavailableError(f"could not {what}: {error}")


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Translate any botocore error raised inside, naming ``what`` was tried."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, what) from error


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` URI.

    Raises:
        RefusedError: ``uri`` is not of the form ``s3://bucket[/key]``.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise RefusedError(f"not an S3 URI: {uri!r}; write s3://bucket/prefix/")
    return bucket, key
