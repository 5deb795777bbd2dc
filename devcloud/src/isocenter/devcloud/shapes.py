"""Checks of requests and answers against AWS's own service models.

botocore ships the models of every AWS service and its SDK reads answers by
them.  ``botocore.validate`` checks only types, ranges and required members on
the client's side; a real service also checks patterns, enumerations and
maximum lengths, and so do we, with the words of a Coral ValidationException:
``1 validation error detected: Value 'x' at 'jobName' failed to satisfy
constraint: Member must satisfy regular expression pattern: ...``.

Values are taken in their wire form: timestamps as epoch seconds, blobs as
base64 text, bytes or a stream.  Members are named as in the model, wherever
on the wire they stand (URI, query, header, body).
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel, ServiceModel, Shape

_MAX_SHOWN = 10
_INTEGERS = {"integer": 31, "long": 63}


class ShapeError(ValueError):
    """A request or an answer that AWS's service model does not allow."""


@cache
def service_model(service: str) -> ServiceModel:
    """The model that botocore ships: ``medical-imaging``, ``sagemaker``."""
    return botocore.session.get_session().get_service_model(service)


def check_input(service: str, operation: str, params: dict[str, Any]) -> None:
    """Raise ShapeError when ``params`` is no request of ``operation``.

    ``params`` holds the request's members by their model names.  A null counts
    as absent, as in the real services.  The text names each bad member; the
    values of members that the model calls sensitive are not repeated.
    """
    found: list[str] = []
    shape = _operation(service, operation).input_shape
    if shape is None:
        found += [_unknown(name) for name in params]
    else:
        _Walk(found, nulls_allowed=True).visit(shape, params, "")
    if found:
        plural = "" if len(found) == 1 else "s"
        shown = "; ".join(found[:_MAX_SHOWN])
        raise ShapeError(f"{len(found)} validation error{plural} detected: {shown}")


def check_output(service: str, operation: str, body: dict[str, Any]) -> None:
    """Raise ShapeError when ``body`` is no answer of ``operation``.

    Such an answer is a defect of this emulator, never of its caller: either
    the SDK could not read it, or the real service would never send it.
    """
    found: list[str] = []
    shape = _operation(service, operation).output_shape
    if shape is None:
        found += [_unknown(name) for name in body]
    else:
        _Walk(found, nulls_allowed=False).visit(shape, body, "")
    if found:
        raise ShapeError(
            f"devcloud answered {operation} against the {service} model: "
            + "; ".join(found[:_MAX_SHOWN])
        )


def _operation(service: str, operation: str) -> OperationModel:
    return service_model(service).operation_model(operation)


def _unknown(name: str) -> str:
    return f"Value at '{name}' failed to satisfy constraint: Member is not known"


class _Walk:
    """One pass over a value; every violation is added to ``found``."""

    def __init__(self, found: list[str], *, nulls_allowed: bool) -> None:
        self._found = found
        self._nulls_allowed = nulls_allowed

    def visit(self, shape: Shape, value: Any, path: str) -> None:
        kind = shape.type_name
        if kind == "structure":
            self._structure(shape, value, path)
        elif kind == "list":
            self._list(shape, value, path)
        elif kind == "map":
            self._map(shape, value, path)
        elif kind == "string":
            self._string(shape, value, path)
        elif kind in ("integer", "long", "float", "double"):
            self._number(shape, value, path)
        elif not _SCALARS[kind](value):
            self._wrong_type(shape, value, path)

    def _structure(self, shape: Any, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            self._wrong_type(shape, value, path)
            return
        self._found.extend(
            _unknown(_join(path, name)) for name in value if name not in shape.members
        )
        present = 0
        for name, member in shape.members.items():
            given = value.get(name)
            at = _join(path, name)
            if given is None and (name not in value or self._nulls_allowed):
                if name in shape.required_members:
                    self._fail("null", at, "Member must not be null")
                continue
            present += 1
            self.visit(member, given, at)
        if getattr(shape, "is_tagged_union", False) and present != 1:
            self._fail(
                f"{present} members",
                path,
                "Exactly one member of the union must be set",
            )

    def _list(self, shape: Any, value: Any, path: str) -> None:
        if not isinstance(value, list):
            self._wrong_type(shape, value, path)
            return
        self._length(shape, len(value), f"'{len(value)} members'", path)
        for number, item in enumerate(value, start=1):
            self.visit(shape.member, item, f"{path}.{number}.member")

    def _map(self, shape: Any, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            self._wrong_type(shape, value, path)
            return
        self._length(shape, len(value), f"'{len(value)} members'", path)
        for key, item in value.items():
            self.visit(shape.key, key, f"{path}.key")
            self.visit(shape.value, item, f"{path}.{key}.member")

    def _string(self, shape: Any, value: Any, path: str) -> None:
        if not isinstance(value, str):
            self._wrong_type(shape, value, path)
            return
        shown = _shown(shape, value)
        self._length(shape, len(value), shown, path)
        if shape.enum and value not in shape.enum:
            allowed = ", ".join(shape.enum)
            self._fail_at(
                shown, path, f"Member must satisfy enum value set: [{allowed}]"
            )
        pattern = shape.metadata.get("pattern")
        compiled = _compiled(pattern) if pattern else None
        if compiled and not compiled.fullmatch(value):
            rule = f"Member must satisfy regular expression pattern: {pattern}"
            self._fail_at(shown, path, rule)

    def _number(self, shape: Any, value: Any, path: str) -> None:
        whole = shape.type_name in _INTEGERS
        if isinstance(value, bool) or not isinstance(
            value, int if whole else (int, float)
        ):
            self._wrong_type(shape, value, path)
            return
        if (
            whole
            and not -(2 ** _INTEGERS[shape.type_name])
            <= value
            < 2 ** (_INTEGERS[shape.type_name])
        ):
            self._wrong_type(shape, value, path)
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            self._fail(
                value, path, f"Member must have value greater than or equal to {low}"
            )
        if high is not None and value > high:
            self._fail(
                value, path, f"Member must have value less than or equal to {high}"
            )

    def _length(self, shape: Any, length: int, shown: str, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and length < low:
            rule = f"Member must have length greater than or equal to {low}"
            self._fail_at(shown, path, rule)
        if high is not None and length > high:
            rule = f"Member must have length less than or equal to {high}"
            self._fail_at(shown, path, rule)

    def _wrong_type(self, shape: Shape, value: Any, path: str) -> None:
        rule = f"Member must be of type {shape.type_name}"
        self._fail(type(value).__name__, path or "the request", rule)

    def _fail(self, value: object, path: str, rule: str) -> None:
        self._fail_at(f"'{value}'", path, rule)

    def _fail_at(self, shown: str, path: str, rule: str) -> None:
        self._found.append(
            f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"
        )


def _is_timestamp(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


_SCALARS: dict[str, Callable[[object], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "timestamp": _is_timestamp,
    "blob": lambda value: not isinstance(value, (bool, int, float, dict, list)),
}


def _join(path: str, name: str) -> str:
    # AWS words paths with a lower-case first letter, but keeps abbreviations.
    shown = name if name[1:2].isupper() else name[:1].lower() + name[1:]
    return f"{path}.{shown}" if path else shown


def _shown(shape: Any, value: str) -> str:
    return "of a sensitive member" if shape.metadata.get("sensitive") else f"'{value}'"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    r"""The model's Java pattern as Python's; None when it is no valid pattern.

    Java's ``\d`` and ``\w`` are ASCII; ``\p{..}`` classes are spelled out.
    """
    text = pattern.replace("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\\U00010000-\\U0010ffff")
    text = _PROPERTY.sub(_property_class, text)
    try:
        return re.compile(text, re.ASCII)
    except re.error:
        return None


_PROPERTY = re.compile(r"(?P<bracketed>\[[^\[\]]*\\p[^\[\]]*\])|\\p\{(?P<name>\w+)\}")
_INSIDE = re.compile(r"\\p\{(\w+)\}")
_PLANE = 0x10000
_POSIX = {"ASCII": r"\x00-\x7f", "Alnum": "a-zA-Z0-9"}


def _property_class(match: re.Match[str]) -> str:
    bracketed = match["bracketed"]
    if bracketed:
        return _INSIDE.sub(lambda inner: _ranges(inner[1]), bracketed)
    return f"[{_ranges(match['name'])}]"


@cache
def _ranges(name: str) -> str:
    """The inside of a character class for a POSIX or Unicode general category."""
    if name in _POSIX:
        return _POSIX[name]
    # Looking at every plane takes seconds: beyond the first, all are let in.
    parts = [r"\U00010000-\U0010ffff"]
    start: int | None = None
    for point in range(_PLANE + 1):
        inside = point < _PLANE and unicodedata.category(chr(point)).startswith(name)
        if inside and start is None:
            start = point
        elif not inside and start is not None:
            parts.append(f"\\U{start:08x}-\\U{point - 1:08x}")
            start = None
    return "".join(parts)
