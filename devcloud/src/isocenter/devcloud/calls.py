"""Who called what: the service and operation of every request, by application.

An SDK puts ``AWS_SDK_UA_APP_ID`` into its user agent as ``app/<id>``, where CloudTrail
shows it too. What was called is read from the request as the service itself would:
the target of the JSON protocols, the action of the query protocol, and for the REST
ones the method, path and parameters of botocore's service model.

Parameters are not kept: they may be a patient's.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel

from isocenter.devcloud.healthimaging.dicomweb.routes import OPERATIONS as DICOMWEB
from isocenter.devcloud.shapes import service_model

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

IMAGING: Final = "medical-imaging"
_APP = re.compile(r"(?:^|\s)app/(\S+)")
_NOBODY: Final = ""
"""Callers without an application id: devcloud itself, the command line."""


@dataclass(frozen=True, slots=True)
class Request:
    """What tells an operation: method, path as sent, query, headers by small name."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class Calls:
    """What was called since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: defaultdict[str, set[str]] = defaultdict(set)

    def record(self, service: str, request: Request, form: str = "") -> None:
        """Note a request; ``form`` is the body of the query protocol."""
        operation = operation_of(service, request, form)
        if operation is None:
            return
        app = _APP.search(request.headers.get("user-agent", ""))
        with self._lock:
            self._seen[app[1] if app else _NOBODY].add(f"{service}:{operation}")

    def seen(self) -> dict[str, list[str]]:
        """``service:Operation`` by application, in order."""
        with self._lock:
            return {app: sorted(calls) for app, calls in sorted(self._seen.items())}


def recorded(app: Asgi, service: str, calls: Calls) -> Asgi:
    """An ASGI app whose requests are noted."""

    async def serve(
        scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/_devcloud/"):
            headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
            }
            query = scope["query_string"].decode("latin-1")
            calls.record(
                service, Request(scope["method"], scope["path"], query, headers)
            )
        await app(scope, receive, send)

    return serve


def operation_of(service: str, request: Request, form: str = "") -> str | None:
    """The operation that a request asks for; None if the service has none such."""
    _, _, target = request.headers.get("x-amz-target", "").rpartition(".")
    if target:
        return target
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    action = {**query, **dict(parse_qsl(form))}.get("Action")
    if action:
        return action
    given = {
        *(("querystring", name) for name in query),
        *(("header", name) for name in request.headers),
    }
    for operation in _rest_operations(service):
        if (
            operation.method == request.method
            and operation.path.fullmatch(request.path)
            and operation.needs <= given
        ):
            return operation.name
    return None


@dataclass(frozen=True, slots=True)
class _Rest:
    """An operation of a REST protocol, and what a request for it must have."""

    name: str
    method: str
    path: re.Pattern[str]
    needs: frozenset[tuple[str, str]]


@cache
def _rest_operations(service: str) -> list[_Rest]:
    """Those of a service, the ones that ask for more first; none if it is unknown."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return []
    # Of two with the same request, as S3 has them, the one that is not deprecated.
    names = sorted(
        model.operation_names, key=lambda name: model.operation_model(name).deprecated
    )
    found = [_modelled(model.operation_model(name)) for name in names]
    if service == IMAGING:
        found += [
            _rest(name, route.method, route.path, set())
            for name, route in DICOMWEB.items()
        ]
    return sorted(found, key=lambda each: -len(each.needs))


def _modelled(operation: OperationModel) -> _Rest:
    path, _, query = operation.http["requestUri"].partition("?")
    needs = {("querystring", name) for name, _ in parse_qsl(query, True)}
    shape = operation.input_shape
    for member in shape.required_members if shape else ():
        place = shape.members[member].serialization
        if place.get("location") == "querystring":
            needs.add(("querystring", place["name"]))
        elif place.get("location") == "header":
            needs.add(("header", place["name"].lower()))
    return _rest(operation.name, operation.http["method"], path, needs)


def _rest(name: str, method: str, path: str, needs: set[tuple[str, str]]) -> _Rest:
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part.startswith("{"):
            pattern += ".+" if part.endswith("+}") else "[^/]+"
        else:
            pattern += re.escape(part)
    return _Rest(name, method, re.compile(pattern + "/?"), frozenset(needs))
