"""The local AWS from outside the cluster, for a look at what it holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import yaml
from botocore.config import Config

from demo.place import AWS_NAMESPACE, LOCAL_AWS_VALUES
from demo.port_forward import port_forward

_PORTS = {"medical-imaging": 5001, "sagemaker": 5002}
_ALL_OTHERS = 5000


@contextmanager
def client(service: str) -> Iterator[Any]:
    """A boto3 client whose calls go through the cluster's API server."""
    values = yaml.safe_load(LOCAL_AWS_VALUES.read_text())
    port = _PORTS.get(service, _ALL_OTHERS)
    with port_forward(AWS_NAMESPACE, "devcloud", port) as local:
        yield boto3.client(
            service,
            endpoint_url=f"http://localhost:{local}",
            region_name=values["aws"]["region"],
            aws_access_key_id="any",
            aws_secret_access_key="any",  # noqa: S106 - the local AWS checks none
            config=Config(inject_host_prefix=False),
        )


def read(uri: str) -> bytes:
    """The object at an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with client("s3") as s3:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body
