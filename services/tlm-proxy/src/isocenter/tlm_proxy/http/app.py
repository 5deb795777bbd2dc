"""The HTTP application: routes, errors, CORS, counting."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.errors import UnauthorizedError, answer_for
from isocenter.tlm_proxy.http.routes import frame_router, health_router
from isocenter.tlm_proxy.metrics import Metrics

log = logging.getLogger(__name__)

_REALM = 'Bearer realm="isocenter"'
_SERVER_ERROR = 500


def create_app(context: ProcessContext) -> FastAPI:
    """The application; it opens ``context`` when it starts and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await context.open()
        try:
            yield
        finally:
            await context.aclose()

    app = FastAPI(
        title="isocenter tile-level-marker proxy",
        version=version("isocenter-tlm-proxy"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(health_router(context))
    app.include_router(frame_router(context))
    app.add_exception_handler(IsocenterError, _failure)
    app.add_exception_handler(HTTPException, _http_failure)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failure)
    if context.settings.cors_allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.settings.cors_allow_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After", "WWW-Authenticate"],
            max_age=3600,
        )
    app.add_middleware(Counting, metrics=context.metrics)
    return app


class Counting:
    """Counts answers by status. Plain ASGI: it must not buffer a stream."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._requests = metrics.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def counted(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._requests.labels(str(message["status"])).inc()
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            if not started:
                self._requests.labels("500").inc()
            raise


async def _failure(_: Request, error: Exception) -> JSONResponse:
    """A failure as the table of errors has it."""
    answer = answer_for(error)
    headers: dict[str, str] = {}
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = (
            f'{_REALM}, error="{error.code}", error_description="{error}"'
            if error.code
            else _REALM
        )
    if answer.status >= _SERVER_ERROR or answer.message is not None:
        log.warning(
            "a request failed: %s",
            answer.error,
            extra={"status": answer.status, "error": str(error)},
        )
    return _json(answer.status, answer.error, answer.message or str(error), headers)


async def _http_failure(_: Request, error: Exception) -> JSONResponse:
    """A failure of routing: no such path, or not with this method."""
    status = getattr(error, "status_code", _SERVER_ERROR)
    detail = str(getattr(error, "detail", ""))
    headers = dict(getattr(error, "headers", None) or {})
    return _json(status, detail.replace(" ", ""), detail, headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """A parameter that isn't of its form; its value is not repeated."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    text = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}"
        for item in found[:5]
    )
    return _json(400, "BadRequest", text, {})


def _json(
    status: int, error: str, message: str, headers: dict[str, str]
) -> JSONResponse:
    return JSONResponse(
        {"error": error, "message": message},
        status,
        {"Cache-Control": "no-store", **headers},
    )
