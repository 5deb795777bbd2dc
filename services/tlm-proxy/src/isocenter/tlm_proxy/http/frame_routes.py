"""The two routes to a frame under HealthImaging's ids."""

import re
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.types import Message, Send

from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Selection, parse_selection
from isocenter.tlm_proxy.http.callers import caller_of
from isocenter.tlm_proxy.http.frame_answer import send_frame, stored_answer
from isocenter.tlm_proxy.http.hot import (
    HotHandler,
    HotRequest,
    HotResponse,
    HotRoute,
    Immediate,
    ImmediateHandler,
)

_ID = ID_PATTERN.strip("^$")
_FRAME = re.compile(f"/datastore/({_ID})/imageSet/({_ID})/imageFrame/({_ID})")
_SAMPLE = re.compile(f"/datastore/({_ID})/imageSet/({_ID})/getImageFrame")
_MAX_BODY = 4096
_USUAL_QUERY = 64
"""Bytes of a query whose meaning is remembered."""
_USUAL_BODY = re.compile(rb'\s*\{\s*"imageFrameId"\s*:\s*"([0-9a-z]{32})"\s*\}\s*')
"""What clients send; any other JSON goes the long way."""

Id = Annotated[str, Path(pattern=ID_PATTERN)]
_LEVEL = "Tile-part, counted from 0."


async def _asked(
    _start: Annotated[str | None, Query(alias="startLevel", description=_LEVEL)] = None,
    _end: Annotated[str | None, Query(alias="endLevel", description=_LEVEL)] = None,
    _reduce: Annotated[
        str | None,
        Query(
            alias="reduce",
            description="N: what can be decoded at 1/2^N of width and height.",
        ),
    ] = None,
) -> None:
    """For OpenAPI: the handler reads the query itself."""


Asked = Annotated[None, Depends(_asked)]


class ImageFrameInformation(BaseModel):
    """The body of GetImageFrame."""

    image_frame_id: str = Field(alias="imageFrameId", pattern=ID_PATTERN)


_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": ImageFrameInformation.model_json_schema()}
    },
}
_PROBLEM = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    }
}
_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"description": text, **_PROBLEM}
    for status, text in {
        400: "The request can't be read.",
        401: "No token, or not a good one.",
        403: "The data store is not open to the caller.",
        404: "No such data store, image set or frame.",
        413: "The body is too long.",
        416: "No such level, or the range begins past the end.",
        502: "HealthImaging failed.",
        503: "Throttled, or tokens can't be checked at the moment.",
        504: "HealthImaging did not answer in time.",
    }.items()
}
"""For OpenAPI."""
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "The frame, or what is asked of it.", **_BYTES},
    206: {"description": "The range that was asked for.", **_BYTES},
    304: {"description": "The frame of If-None-Match."},
    **PROBLEMS,
}


def frame_routes(context: ProcessContext) -> list[HotRoute]:
    """The hot routes."""
    return [
        HotRoute(
            frozenset({"GET", "HEAD"}),
            _FRAME,
            _image_frame(context),
            _stored_image_frame(context),
        ),
        HotRoute(
            frozenset({"POST"}),
            _SAMPLE,
            _get_image_frame(context),
            _stored_get_image_frame(context),
        ),
    ]


def frame_router(context: ProcessContext) -> APIRouter:
    """The same for FastAPI: described, and answered by the same handlers.

    Requests get here only when their ids are none, which is then said.
    """
    by_get, by_post = _image_frame(context), _get_image_frame(context)
    router = APIRouter()

    async def image_frame(
        datastore_id: Id, image_set_id: Id, frame_id: Id, _: Asked
    ) -> Response:
        """A frame, or some of its levels, for caches."""
        return HotResponse(by_get, (datastore_id, image_set_id, frame_id))

    path = "/datastore/{datastore_id}/imageSet/{image_set_id}/imageFrame/{frame_id}"
    router.get(path, response_class=Response, responses=_ANSWERS)(image_frame)
    router.head(path, response_class=Response, responses=_ANSWERS)(image_frame)

    @router.post(
        "/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame",
        response_class=Response,
        responses={s: a for s, a in _ANSWERS.items() if s not in {206, 304}},
        openapi_extra={"requestBody": _BODY},
    )
    async def get_image_frame(datastore_id: Id, image_set_id: Id, _: Asked) -> Response:
        """A frame, or some of its levels: the call of AWS's sample proxy."""
        return HotResponse(by_post, (datastore_id, image_set_id))

    return router


def selection_of(request: HotRequest) -> Selection | None:
    """What the query asks of a frame; None for all of it.

    Raises:
        BadRequestError: it can't be read.
    """
    query = request.scope["query_string"]
    if not query:
        return None
    if len(query) <= _USUAL_QUERY:
        return _selection_of_query(query)
    return _selection(request)


@lru_cache(maxsize=1024)
def _selection_of_query(query: bytes) -> Selection | None:
    """Most requests ask for one of a few selections."""
    return _selection(HotRequest({"query_string": query}, _no_body, "GET", ()))


def _selection(request: HotRequest) -> Selection | None:
    return parse_selection(
        request.query("startLevel"), request.query("endLevel"), request.query("reduce")
    )


async def _no_body() -> Message:
    return {"type": "http.disconnect"}


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


def _image_frame(context: ProcessContext) -> HotHandler:
    async def image_frame(request: HotRequest, send: Send) -> None:
        caller = await caller_of(context, request)
        key = FrameKey(context.region, *request.params)
        asked = selection_of(request)
        await send_frame(context, request, send, key, asked, caller, None)

    return image_frame


def _stored_image_frame(context: ProcessContext) -> ImmediateHandler:
    def stored_image_frame(request: HotRequest) -> Immediate | None:
        try:
            asked = selection_of(request)
        except BadRequestError:
            return None
        key = FrameKey(context.region, *request.params)
        return stored_answer(context, request, key, asked, None)

    return stored_image_frame


def _stored_get_image_frame(context: ProcessContext) -> ImmediateHandler:
    def stored_get_image_frame(request: HotRequest) -> Immediate | None:
        frame_id = _USUAL_BODY.fullmatch(request.content)
        if frame_id is None:
            return None
        try:
            asked = selection_of(request)
        except BadRequestError:
            return None
        datastore_id, image_set_id = request.params
        key = FrameKey(
            context.region, datastore_id, image_set_id, frame_id[1].decode("ascii")
        )
        return stored_answer(context, request, key, asked, None)

    return stored_get_image_frame


def _get_image_frame(context: ProcessContext) -> HotHandler:
    async def get_image_frame(request: HotRequest, send: Send) -> None:
        caller = await caller_of(context, request)
        frame_id = parse_frame_id(await request.body(_MAX_BODY))
        datastore_id, image_set_id = request.params
        key = FrameKey(context.region, datastore_id, image_set_id, frame_id)
        asked = selection_of(request)
        await send_frame(context, request, send, key, asked, caller, None)

    return get_image_frame
