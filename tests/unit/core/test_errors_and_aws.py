import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from isocenter.core import aws
from isocenter.core.errors import (
    AwsError,
    BusyError,
    ConfigurationError,
    DeniedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "because"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "Operation",
    )


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (client_error("ResourceNotFoundException", 404), NotFoundError, False),
        (client_error("NoSuchKey", 404), NotFoundError, False),
        (client_error("ResourceNotFound", 400), NotFoundError, False),
        (client_error("AccessDeniedException", 403), DeniedError, False),
        # Botocore retries neither of these two; we put the work back.
        (client_error("ServiceQuotaExceededException", 402), BusyError, True),
        (client_error("ConflictException", 409), BusyError, True),
        (client_error("ResourceLimitExceeded", 400), BusyError, True),
        (client_error("ThrottlingException", 429), BusyError, True),
        (client_error("ValidationException", 400), RefusedError, False),
        # A wrong clock, an old key and a slow line are no fault of the request's.
        (client_error("RequestTimeTooSkewed", 403), DeniedError, False),
        (client_error("InvalidSignatureException", 400), DeniedError, False),
        (client_error("ExpiredTokenException", 400), DeniedError, False),
        (client_error("RequestTimeout", 400), UnavailableError, True),
        (client_error("ThrottledException", 400), BusyError, True),
        (client_error("NeverHeardOf", 403), DeniedError, False),
        (client_error("NeverHeardOf", 409), BusyError, True),
        (client_error("NeverHeardOf", 429), BusyError, True),
        (client_error("NeverHeardOf", 400), RefusedError, False),
        (client_error("NeverHeardOf", 503), UnavailableError, True),
        (EndpointConnectionError(endpoint_url="http://x"), UnavailableError, True),
        (NoCredentialsError(), DeniedError, False),
        (ParamValidationError(report="too long"), RefusedError, False),
    ],
)
def test_translation(error, kind, retryable):
    translated = aws.translate(error, "read the thing")
    assert type(translated) is kind
    assert translated.retryable is retryable
    assert "could not read the thing" in str(translated)


def test_calling_translates_and_names_the_call():
    with pytest.raises(NotFoundError, match="could not find it: NoSuchKey: because"):
        with aws.calling("find it"):
            raise client_error("NoSuchKey", 404)


def test_calling_leaves_other_errors_alone():
    with pytest.raises(KeyError), aws.calling("x"):
        raise KeyError("ours")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a/b/", ("bucket", "a/b/")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/key", ("bucket", "key")),
    ],
)
def test_split_s3_uri(uri, expected):
    assert aws.split_s3_uri(uri) == expected


@pytest.mark.parametrize("uri", ["", "bucket/key", "https://bucket/key", "s3:///key"])
def test_split_s3_uri_refuses(uri):
    with pytest.raises(RefusedError, match="not an S3 URI"):
        aws.split_s3_uri(uri)


def test_client_without_region_names_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION"):
        aws.client("sqs")


def test_every_aws_error_is_an_aws_error():
    for kind in (BusyError, DeniedError, NotFoundError, RefusedError, UnavailableError):
        assert issubclass(kind, AwsError)
