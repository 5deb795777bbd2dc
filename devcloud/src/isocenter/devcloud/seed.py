"""The account's first content: boto3 calls made in order, against this cloud.

A YAML list of `{service, operation, parameters}`, names as in the API reference
(`CreateBucket`, `Bucket`). In strings, `${account}` and `${region}` are replaced.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import yaml
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

logger = logging.getLogger(__name__)

# Codes that say: what was asked for is there already.
ALREADY = frozenset(
    {
        "BucketAlreadyOwnedByYou",
        "EntityAlreadyExists",
        "QueueNameExists",
        "ResourceAlreadyExistsException",
    }
)


class SeedError(Exception):
    """The seed can't be read or one of its calls was refused."""


class Call(BaseModel):
    """One call of the seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str
    operation: str
    parameters: dict[str, Any] = {}


def read(path: Path) -> list[Call]:
    """The calls of a seed file; raises SeedError naming what is wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(list[Call]).validate_python(document or [])
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SeedError(f"seed file {path}: {error}") from error


def apply(
    calls: list[Call], connect: Callable[[str], Any], variables: dict[str, str]
) -> None:
    """Make the calls in order; `connect` gives the boto3 client of a service.

    Raises SeedError at the first that is refused for anything but being done before.
    """
    for number, call in enumerate(calls, start=1):
        where = f"seed call {number}, {call.service} {call.operation}"
        try:
            client = connect(call.service)
            method = getattr(client, xform_name(call.operation), None)
            if method is None or call.operation not in _operations(client):
                raise SeedError(f"{where}: no such operation")
            method(**_substitute(call.parameters, variables))
        except ClientError as error:
            if error.response["Error"]["Code"] not in ALREADY:
                raise SeedError(f"{where}: {error}") from error
            logger.info("%s: there already", where)
        except (BotoCoreError, KeyError, ValueError) as error:
            raise SeedError(f"{where}: {error}") from error
        else:
            logger.info("%s: done", where)


def _operations(client: Any) -> list[str]:
    names: list[str] = client.meta.service_model.operation_names
    return names


def _substitute(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(variables)
    if isinstance(value, list):
        return [_substitute(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _substitute(item, variables) for key, item in value.items()}
    return value
