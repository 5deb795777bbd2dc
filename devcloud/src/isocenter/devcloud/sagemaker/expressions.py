"""Expressions of a pipeline definition (schema 2020-12-01): `Get` and `Std:Join`.

`{"Get": "Parameters.X"}`, `{"Get": "Execution.PipelineExecutionId"}`,
`{"Get": "Steps.Fetch.ProcessingOutputConfig.Outputs['frames'].S3Output.S3Uri"}` and
`{"Std:Join": {"On": "/", "Values": [...]}}`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isocenter.devcloud.sagemaker.errors import NotBuiltError, ValidationError

EXECUTION_VARIABLES = frozenset(
    {
        "CurrentDateTime",
        "PipelineArn",
        "PipelineExecutionArn",
        "PipelineExecutionId",
        "PipelineName",
        "ProcessingJobName",
        "StartDateTime",
        "TrainingJobName",
    }
)
# A list of a job's description is addressed by the name its elements carry.
_NAME_KEYS = ("OutputName", "InputName", "ChannelName", "MetricName", "Name")
_TOKEN = re.compile(
    r"\.?(?P<member>[A-Za-z][A-Za-z0-9]*)"
    r"|\[(?P<quote>['\"])(?P<key>[^'\"]+)(?P=quote)\]"
    r"|\[(?P<index>[0-9]+)\]"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One `Get`: `root` is Parameters, Execution or Steps; `path` only for Steps."""

    root: str
    name: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a step's arguments may refer to when it starts."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, str]
    step: Callable[[str], Mapping[str, Any]]


def parse_reference(text: str) -> Reference:
    """A `Get` text; raises ValidationError for one that SageMaker can't know."""
    root, _, rest = text.partition(".")
    if root == "Parameters" and rest:
        return Reference("Parameters", rest)
    if root == "Execution" and rest in EXECUTION_VARIABLES:
        return Reference("Execution", rest)
    if root == "Steps" and rest:
        name, _, path = rest.partition(".")
        if not path:
            raise ValidationError(f"Reference [{text}] names no property of the step")
        return Reference("Steps", name, _parse_path(text, path))
    raise ValidationError(f"Unknown reference [{text}] in the pipeline definition")


def is_expression(value: Any) -> bool:
    """Whether a JSON object is an expression rather than a plain structure."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    (key,) = value
    return (key == "Get" and isinstance(value[key], str)) or key.startswith("Std:")


def references(value: Any) -> Iterator[Reference]:
    """Every `Get` inside a JSON value."""
    if is_expression(value):
        key, inner = next(iter(value.items()))
        if key == "Get":
            yield parse_reference(inner)
            return
        yield from references(_join(key, inner)["Values"])
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolve(value: Any, scope: Scope) -> Any:
    """The JSON value with each expression replaced; members that are null go away."""
    if is_expression(value):
        key, inner = next(iter(value.items()))
        if key == "Get":
            return _lookup(parse_reference(inner), scope)
        join = _join(key, inner)
        return join["On"].join(_text(resolve(part, scope)) for part in join["Values"])
    if isinstance(value, dict):
        resolved = {name: resolve(item, scope) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not None}
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return value


def walk(value: Any, path: tuple[str | int, ...]) -> Any:
    """Follow a property path through a job's description; LookupError if absent."""
    for token in path:
        if isinstance(value, list) and isinstance(token, str):
            value = next(
                item
                for item in [*value, None]
                if item is None or any(item.get(key) == token for key in _NAME_KEYS)
            )
            if value is None:
                raise LookupError(token)
        else:
            value = value[token]
    return value


def _lookup(reference: Reference, scope: Scope) -> Any:
    if reference.root == "Parameters":
        return scope.parameters[reference.name]
    if reference.root == "Execution":
        try:
            return scope.execution[reference.name]
        except KeyError:
            raise ValidationError(
                f"Execution.{reference.name} is not available in this step"
            ) from None
    try:
        return walk(scope.step(reference.name), reference.path)
    except (LookupError, TypeError) as error:
        dotted = ".".join(map(str, reference.path))
        raise ValidationError(
            f"Step {reference.name} has no property {dotted}"
        ) from error


def _join(key: str, inner: Any) -> dict[str, Any]:
    if key != "Std:Join":
        raise NotBuiltError(f"The function {key} is not built in devcloud")
    if not isinstance(inner, dict) or not isinstance(inner.get("Values"), list):
        raise ValidationError("Std:Join needs a list in Values")
    if not isinstance(inner.get("On", ""), str):
        raise ValidationError("Std:Join needs a string in On")
    return {"On": inner.get("On", ""), "Values": inner["Values"]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json_scalar(value)


def _json_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise ValidationError("Std:Join joins strings and numbers only")


def _parse_path(text: str, path: str) -> tuple[str | int, ...]:
    tokens: list[str | int] = []
    at = 0
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None:
            raise ValidationError(f"Unreadable property path in reference [{text}]")
        index = match["index"]
        tokens.append(int(index) if index else match["member"] or match["key"])
        at = match.end()
    return tuple(tokens)
