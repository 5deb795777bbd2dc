"""Probes and metrics; they take no token."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from isocenter.tlm_proxy.context import ProcessContext


def probe_router(context: ProcessContext) -> APIRouter:
    """The four of them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthcheck")
    async def healthcheck() -> Response:
        """200 and nothing else: the sample's health check."""
        return Response()

    @router.get("/healthz")
    async def healthz() -> Response:
        """Alive: the loop answers."""
        return Response("ok\n", media_type="text/plain")

    @router.get("/readyz")
    async def readyz() -> Response:
        """Ready: there are AWS credentials, and keys to check tokens with."""
        problem = context.problem()
        return Response(f"{problem or 'ok'}\n", 503 if problem else 200)

    @router.get("/metrics")
    async def metrics() -> Response:
        """Prometheus's text format."""
        return Response(
            await context.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return router
