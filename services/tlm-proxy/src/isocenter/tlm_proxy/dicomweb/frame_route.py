"""The hot route of OHIF: one frame of an instance, from GetImageFrame."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from starlette.types import Send

from isocenter.core.errors import IsocenterError, NotFoundError
from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.accept import require_frame
from isocenter.tlm_proxy.dicomweb.frame_envelope import frame_envelope
from isocenter.tlm_proxy.dicomweb.instance_map import MappedInstance
from isocenter.tlm_proxy.dicomweb.locate import Place
from isocenter.tlm_proxy.dicomweb.where import (
    IMAGE_SET,
    Id,
    Region,
    Scope,
    Uid,
)
from isocenter.tlm_proxy.errors import BadRequestError, NotInStudyError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Selection, parse_selection
from isocenter.tlm_proxy.http.callers import caller_of
from isocenter.tlm_proxy.http.envelope import EnvelopeOf
from isocenter.tlm_proxy.http.frame_answer import send_frame, stored_answer
from isocenter.tlm_proxy.http.frame_routes import PROBLEMS
from isocenter.tlm_proxy.http.hot import (
    HotHandler,
    HotRequest,
    HotResponse,
    HotRoute,
    Immediate,
    ImmediateHandler,
)

_ID = ID_PATTERN.strip("^$")
_UID = r"[0-9][0-9.]{0,63}"
_FRAME = (
    f"/studies/({_UID})/series/({_UID})/instances/({_UID})/frames/([0-9,]{{1,200}})"
)
_ROOT = rf"/dicomweb/([a-z0-9-]{{1,32}})/({_ID})"
_METHODS = frozenset({"GET", "HEAD"})
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")
_REDUCE = "N: what can be decoded at 1/2^N of width and height."
_MULTIPART = {
    "content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}}
}
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "The frame, or what is asked of it.", **_MULTIPART},
    206: {"description": "The range that was asked for.", **_MULTIPART},
    304: {"description": "The frame of If-None-Match."},
    **PROBLEMS,
    406: {**PROBLEMS[404], "description": "Accept takes no such multipart."},
}


def frame_routes(context: ProcessContext) -> list[HotRoute]:
    """The route under its two roots: a data store, and one image set of it."""
    handler, immediate = _frame(context), _stored_frame(context)
    return [
        HotRoute(_METHODS, re.compile(root + _FRAME), handler, immediate, "dicomweb")
        for root in (_ROOT, f"{_ROOT}/imageset/({_ID})")
    ]


def add_frames(router: APIRouter, root: str, context: ProcessContext) -> None:
    """The same for FastAPI: described, and answered by the same handler."""
    handler = _frame(context)
    scope = _path_scope if root == IMAGE_SET else _query_scope

    async def frame(
        *,
        region: Region,
        datastore_id: Id,
        study: Uid,
        series: Uid,
        instance: Uid,
        frame: Annotated[str, Path(description="One number, from 1.")],
        image_set_id: str | None = Depends(scope),
        _: Annotated[str | None, Query(alias="reduce", description=_REDUCE)] = None,
    ) -> Response:
        """One frame as it is stored, in a multipart of one part."""
        scoped = (image_set_id,) if image_set_id else ()
        ids = (region, datastore_id, *scoped)
        return HotResponse(handler, (*ids, study, series, instance, frame))

    path = f"{root}/studies/{{study}}/series/{{series}}/instances/{{instance}}"
    for add in (router.get, router.head):
        add(f"{path}/frames/{{frame}}", response_class=Response, responses=_ANSWERS)(
            frame
        )


async def _path_scope(image_set_id: Id) -> str | None:
    return image_set_id


async def _query_scope(scope: Scope = None) -> str | None:
    return scope


class FramePath:
    """What the groups of a path mean.

    Attributes:
        place: the study and its data store.
        series_uid: the series.
        sop_uid: the instance.
        frame: the frame's number, from 1.
    """

    __slots__ = ("frame", "place", "series_uid", "sop_uid")

    def __init__(self, context: ProcessContext, request: HotRequest) -> None:
        """Read them.

        Raises:
            BadRequestError: not one frame number.
            RegionNotServedError: a region that isn't served.
        """
        region, datastore_id, *scope, study, series, sop, frames = request.params
        image_set_id = scope[0] if scope else request.query("imageSetId") or None
        store = context.dicomweb.store(region, datastore_id)
        self.place = Place(store, study, image_set_id)
        self.series_uid = series
        self.sop_uid = sop
        self.frame = parse_frame_number(frames)

    def key(self, found: MappedInstance) -> FrameKey:
        """The frame's ids.

        Raises:
            NotInStudyError: the instance has no such frame.
        """
        frame_id = found.frame_id(self.frame)
        if frame_id is None:
            raise NotInStudyError(
                f"the instance has {found.frames} frames, none of number {self.frame}"
            )
        return FrameKey(*self.place.store, found.image_set_id, frame_id)


def parse_frame_number(text: str) -> int:
    """The one frame number of a path.

    Raises:
        BadRequestError: a list, or not a number from 1.
    """
    if "," in text:
        raise BadRequestError("one frame a request: ask for each of a list by itself")
    if not _NUMBER.fullmatch(text):
        raise BadRequestError("frames are numbered from 1")
    return int(text)


def _asked(request: HotRequest) -> Selection | None:
    # Levels by number are the other route's; here OHIF's reduce=N.
    return parse_selection(None, None, request.query("reduce"))


def _envelope(request: HotRequest, found: MappedInstance) -> EnvelopeOf:
    """The multipart of the instance's syntax, if it is acceptable.

    Raises:
        NotAcceptableError: it is not.
    """
    accept = b", ".join(request.headers(b"accept"))
    require_frame(accept.decode("latin-1") or None, found.syntax)
    envelope = frame_envelope(found.syntax)
    # Not by HealthImaging's media type: two syntaxes have image/jphc.
    return lambda _: envelope


def _frame(context: ProcessContext) -> HotHandler:
    async def frame(request: HotRequest, send: Send) -> None:
        caller = await caller_of(context, request)
        path = FramePath(context, request)
        caller.require(path.place.store.datastore_id)
        asked = _asked(request)
        locator = context.dicomweb.locator
        found = locator.known(
            path.place, path.series_uid, path.sop_uid
        ) or await locator.instance(
            path.place, path.series_uid, path.sop_uid, caller.client
        )
        key, envelope = path.key(found), _envelope(request, found)
        try:
            await send_frame(context, request, send, key, asked, caller, envelope)
        except NotFoundError:
            # Its image set was deleted or replaced: look again next time.
            locator.forget(path.place)
            raise

    return frame


def _stored_frame(context: ProcessContext) -> ImmediateHandler:
    def stored_frame(request: HotRequest) -> Immediate | None:
        try:
            path = FramePath(context, request)
            found = context.dicomweb.locator.known(
                path.place, path.series_uid, path.sop_uid
            )
            if found is None:
                return None
            key, envelope = path.key(found), _envelope(request, found)
            asked = _asked(request)
        except IsocenterError:
            return None
        return stored_answer(context, request, key, asked, envelope)

    return stored_frame
