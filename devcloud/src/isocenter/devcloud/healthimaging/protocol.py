"""REST-JSON on the wire, driven by AWS's own service model.

Routes, the places of parameters and the names of errors all come from
botocore, which is what the callers' SDKs read too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from isocenter.devcloud.healthimaging.errors import (
    InternalServerError,
    NotBuiltError,
    ServiceError,
    ValidationError,
)
from isocenter.devcloud.shapes import (
    ShapeError,
    check_input,
    check_output,
    service_model,
)

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.model import OperationModel
    from fastapi import FastAPI, Request

__all__ = ["SERVICE", "Operation", "Payload", "add_operations", "error_response"]

SERVICE: Final = "medical-imaging"
_CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class Payload:
    """An answer that is a stream: its file, its headers, its model members."""

    member: str
    path: Path
    headers: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)


Operation = Callable[[dict[str, Any]], "dict[str, Any] | Payload"]


def add_operations(app: FastAPI, operations: dict[str, Operation]) -> None:
    """A route for each operation of the model; one that is not given is a 501."""
    model = service_model(SERVICE)
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = operation.http["requestUri"].replace(
            "{resourceArn}", "{resourceArn:path}"
        )
        call = operations.get(name)
        app.add_route(
            path,
            _endpoint(operation, call) if call else _not_built(name),
            methods=[operation.http["method"]],
            name=name,
        )


def _not_built(name: str) -> Any:
    async def refuse(_: Request) -> Response:
        return error_response(NotBuiltError(f"devcloud does not have {name}"))

    return refuse


def _endpoint(operation: OperationModel, call: Operation) -> Any:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_serve, operation, call, request, body)

    return endpoint


def _serve(
    operation: OperationModel, call: Operation, request: Request, body: bytes
) -> Response:
    try:
        try:
            params = _params(operation, request, body)
            check_input(SERVICE, operation.name, params)
        except ShapeError as error:
            raise ValidationError(str(error)) from error
        try:
            return _answer(operation, call(params))
        except ShapeError as error:
            raise InternalServerError(str(error)) from error
    except ServiceError as error:
        return error_response(error)


def _params(operation: OperationModel, request: Request, body: bytes) -> dict[str, Any]:
    """The request's members by model name, from URI, query and body."""
    shape = operation.input_shape
    params: dict[str, Any] = {}
    in_body: dict[str, str] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = str(member.serialization.get("name", name))
        if location == "uri":
            params[name] = request.path_params[wire]
        elif location == "querystring":
            if wire in request.query_params:
                params[name] = _scalar(member.type_name, request.query_params[wire])
        else:
            in_body[wire] = str(name)
    payload = shape.serialization.get("payload")
    if payload:
        if body:
            params[payload] = _json(body)
    elif body:
        given = _json(body)
        if not isinstance(given, dict):
            raise ValidationError("The request body is not a JSON object")
        for key, value in given.items():
            params[in_body.get(str(key), str(key))] = value
    return params


def _scalar(kind: str, text: str) -> Any:
    if kind == "integer":
        try:
            return int(text)
        except ValueError:
            return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ValidationError("The request body is not JSON") from error


def _answer(operation: OperationModel, result: dict[str, Any] | Payload) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    status = int(operation.http.get("responseCode", 200))
    if isinstance(result, Payload):
        check_output(SERVICE, operation.name, {**result.members, result.member: b""})
        headers |= {
            **result.headers,
            "Content-Length": str(result.path.stat().st_size),
        }
        return StreamingResponse(_chunks(result.path), status, headers)
    check_output(SERVICE, operation.name, result)
    return JSONResponse(result, status, headers)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def error_response(error: ServiceError) -> Response:
    """An error as REST-JSON has it."""
    headers = {
        "x-amzn-RequestId": str(uuid.uuid4()),
        "x-amzn-ErrorType": error.code,
    }
    return JSONResponse({"message": str(error)}, error.status, headers)
