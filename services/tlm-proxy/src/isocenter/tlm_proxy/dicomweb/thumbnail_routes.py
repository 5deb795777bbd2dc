"""The thumbnails of a series and of an instance."""

from fastapi import APIRouter, Depends, Request, Response

from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.accept import require
from isocenter.tlm_proxy.dicomweb.thumbnails import Thumbnail, parse_viewport
from isocenter.tlm_proxy.dicomweb.where import Uid, Where, WhereDependency
from isocenter.tlm_proxy.http.conditions import unchanged
from isocenter.tlm_proxy.http.frame_routes import PROBLEMS

JPEG = "image/jpeg"
_CACHE = "private, max-age=300"
"""Which picture it is may change as the series grows; then the ETag tells."""
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The picture.",
        "content": {JPEG: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The picture of If-None-Match."},
    **PROBLEMS,
    406: {**PROBLEMS[404], "description": "Accept takes no JPEG."},
}


def add_thumbnails(
    router: APIRouter, root: str, context: ProcessContext, where: WhereDependency
) -> None:
    """The routes under ``root``."""
    here = Depends(where)

    @router.get(
        f"{root}/studies/{{study}}/series/{{series}}/thumbnail",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def series_thumbnail(
        request: Request,
        study: Uid,
        series: Uid,
        viewport: str | None = None,
        at: Where = here,
    ) -> Response:
        """A small picture of the middle of a series (PS3.18 10.4.1.1.5).

        ``viewport`` is its width and height at most: w,h.
        """
        require(", ".join(request.headers.getlist("accept")) or None, JPEG)
        found = await context.dicomweb.thumbnails.of_series(
            at.study(study), series, parse_viewport(viewport), at.client
        )
        return _answer(request, found)

    @router.get(
        f"{root}/studies/{{study}}/series/{{series}}/instances/{{instance}}/thumbnail",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def instance_thumbnail(
        *,
        request: Request,
        study: Uid,
        series: Uid,
        instance: Uid,
        viewport: str | None = None,
        at: Where = here,
    ) -> Response:
        """A small picture of an instance, of many frames the middle one."""
        require(", ".join(request.headers.getlist("accept")) or None, JPEG)
        found = await context.dicomweb.thumbnails.of_instance(
            at.study(study), series, instance, parse_viewport(viewport), at.client
        )
        return _answer(request, found)


def _answer(request: Request, found: Thumbnail) -> Response:
    headers = {
        "ETag": found.etag,
        "Cache-Control": _CACHE,
        "X-Content-Type-Options": "nosniff",
    }
    held = request.headers.get("if-none-match")
    if held is not None and unchanged(held.encode("latin-1"), found.etag.encode()):
        return Response(status_code=304, headers=headers)
    return Response(found.jpeg, media_type=JPEG, headers=headers)
