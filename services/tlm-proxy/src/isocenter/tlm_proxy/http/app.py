"""The application: FastAPI for what is cold, hot routes before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.frame_route import frame_routes as dicomweb_frames
from isocenter.tlm_proxy.dicomweb.routes import dicomweb_router
from isocenter.tlm_proxy.http.described import described_as_answered
from isocenter.tlm_proxy.http.edge import Edge
from isocenter.tlm_proxy.http.frame_routes import frame_router, frame_routes
from isocenter.tlm_proxy.http.probes import probe_router
from isocenter.tlm_proxy.http.problems import problem_of
from isocenter.tlm_proxy.usage.routes import usage_router

_METHOD_NOT_ALLOWED = 405
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def create_app(context: ProcessContext) -> Edge:
    """The application; it opens ``context`` when it starts and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await context.open()
        try:
            yield
        finally:
            await context.aclose()

    cold = FastAPI(
        title="isocenter tile-level-marker proxy",
        version=version("isocenter-tlm-proxy"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for router in (
        probe_router(context),
        frame_router(context),
        dicomweb_router(context),
        usage_router(context),
    ):
        cold.include_router(router)
    for kind in (IsocenterError, HTTPException, RequestValidationError, Exception):
        cold.add_exception_handler(kind, _failure)
    cold.openapi = described_as_answered(cold.openapi)  # type: ignore[method-assign]  # FastAPI's documented way
    return Edge(
        cold,
        [*frame_routes(context), *dicomweb_frames(context)],
        context.settings.cors_allow_origins,
        context.metrics,
    )


async def _failure(request: Request, error: Exception) -> Response:
    """Any failure as a problem document."""
    problem = problem_of(error)
    if problem.status == _METHOD_NOT_ALLOWED:
        problem.headers["allow"] = ", ".join(sorted(_methods(request)))
    return Response(problem.body, problem.status, problem.headers)


def _methods(request: Request) -> set[str]:
    """The methods that a path takes, of all its routes (RFC 9110 section 15.5.6)."""
    return {
        method
        for method in _METHODS
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
