"""HTTP: SageMaker's JSON 1.1 protocol on `/`, controls under `/_devcloud/`."""

import json
import logging
import uuid
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from isocenter.devcloud.sagemaker import control
from isocenter.devcloud.sagemaker.engine import Engine
from isocenter.devcloud.sagemaker.errors import ApiError, NotBuiltError, ValidationError
from isocenter.devcloud.sagemaker.faults import Faults
from isocenter.devcloud.sagemaker.operations import Operations
from isocenter.devcloud.shapes import (
    ShapeError,
    check_input,
    check_output,
    service_model,
)

logger = logging.getLogger(__name__)

SERVICE = "sagemaker"
_TARGET = "SageMaker."
_CONTENT_TYPE = "application/x-amz-json-1.1"


def create_app(engine: Engine) -> FastAPI:
    """The ASGI app over an engine; the caller starts and stops the engine."""
    app = FastAPI(title="devcloud SageMaker", docs_url=None, redoc_url=None)
    operations = Operations(engine)
    faults = Faults()

    @app.post("/")
    async def call(request: Request) -> Response:
        body = await request.body()
        target = request.headers.get("x-amz-target", "")
        status, answer = await run_in_threadpool(
            _answer, operations, faults, target, body
        )
        return Response(
            json.dumps(answer),
            status_code=status,
            media_type=_CONTENT_TYPE,
            headers={"x-amzn-RequestId": str(uuid.uuid4())},
        )

    app.include_router(control.router(engine, faults))
    return app


def _answer(
    operations: Operations, faults: Faults, target: str, body: bytes
) -> tuple[int, dict[str, Any]]:
    operation = target.removeprefix(_TARGET)
    fault = faults.take(operation)
    if fault is not None:
        return fault.status, {"__type": fault.code, "message": fault.message}
    try:
        return 200, _call(operations, operation, body)
    except ApiError as error:
        return error.status, {"__type": error.code, "message": str(error)}
    except Exception:
        logger.exception("SageMaker.%s failed", operation)
        message = f"devcloud failed in {operation}, see its log"
        return 500, {"__type": "InternalFailure", "message": message}


def _call(operations: Operations, operation: str, body: bytes) -> dict[str, Any]:
    if operation not in service_model(SERVICE).operation_names:
        raise ValidationError(f"Unknown operation {operation}")
    if operation not in operations.table:
        raise NotBuiltError(f"SageMaker.{operation} is not built in devcloud")
    try:
        request = json.loads(body or b"{}")
        if not isinstance(request, dict):
            raise ValidationError("The request is not a JSON object")
        check_input(SERVICE, operation, request)
    except ShapeError as error:
        raise ValidationError(str(error)) from error
    except ValueError as error:
        raise ValidationError(f"The request is not JSON: {error}") from error
    answer = operations.call(operation, request)
    check_output(SERVICE, operation, answer)
    return answer
