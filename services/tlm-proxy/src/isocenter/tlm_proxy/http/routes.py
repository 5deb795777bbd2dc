"""The routes. Each reads the request and hands over."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field, ValidationError

from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.errors import BadRequestError, TooLargeError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange, parse_levels
from isocenter.tlm_proxy.http.answers import FrameResponse

_LEVEL = "Tile-part, counted from 0."
_MAX_BODY = 4096
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_IMMUTABLE = {**_NOSNIFF, "Cache-Control": "private, max-age=31536000, immutable"}
"""A frame never changes under its id. Private: reading it takes a token."""

Id = Annotated[str, Path(pattern=ID_PATTERN)]


class ImageFrameInformation(BaseModel):
    """The body of GetImageFrame."""

    image_frame_id: str = Field(alias="imageFrameId", pattern=ID_PATTERN)


async def _levels(
    start: Annotated[str | None, Query(alias="startLevel", description=_LEVEL)] = None,
    end: Annotated[str | None, Query(alias="endLevel", description=_LEVEL)] = None,
) -> LevelRange | None:
    # async: FastAPI would run a plain function in a thread, at half the cost of
    # the whole request.
    return parse_levels(start, end)


Levels = Annotated[LevelRange | None, Depends(_levels)]


def frame_router(context: ProcessContext) -> APIRouter:
    """The two routes to a frame; both ask for a token first."""

    async def authorize(request: Request) -> None:
        await context.access.check(request.headers.getlist("authorization"))

    router = APIRouter(dependencies=[Depends(authorize)])

    @router.post(
        "/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame",
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": ImageFrameInformation.model_json_schema()
                    }
                },
            }
        },
    )
    async def get_image_frame(
        request: Request, datastore_id: Id, image_set_id: Id, levels: Levels
    ) -> Response:
        """A frame, or some of its levels: the call of AWS's sample proxy."""
        frame_id = parse_frame_id(await _body(request))
        key = FrameKey(datastore_id, image_set_id, frame_id)
        return FrameResponse(context.frames, context.metrics, key, levels, _NOSNIFF)

    @router.get(
        "/datastore/{datastore_id}/imageSet/{image_set_id}/imageFrame/{frame_id}",
        response_class=Response,
    )
    async def image_frame(
        datastore_id: Id, image_set_id: Id, frame_id: Id, levels: Levels
    ) -> Response:
        """The same by GET, for caches."""
        key = FrameKey(datastore_id, image_set_id, frame_id)
        return FrameResponse(context.frames, context.metrics, key, levels, _IMMUTABLE)

    return router


def health_router(context: ProcessContext) -> APIRouter:
    """Probes and metrics; they take no token."""
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
            generate_latest(context.metrics.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    return router


def parse_frame_id(body: bytes) -> str:
    """The frame id of a GetImageFrame body.

    Raises:
        BadRequestError: not JSON, or without a good ``imageFrameId``.
    """
    try:
        return ImageFrameInformation.model_validate_json(body).image_frame_id
    except ValidationError as error:
        raise BadRequestError(
            'the body must be {"imageFrameId": "..."}, with an id of 32 characters '
            "of 0-9 and a-z"
        ) from error


async def _body(request: Request) -> bytes:
    """The request's body.

    Raises:
        TooLargeError: it is over ``_MAX_BODY``.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY:
            raise TooLargeError(f"the body is over {_MAX_BODY} bytes")
    return body
