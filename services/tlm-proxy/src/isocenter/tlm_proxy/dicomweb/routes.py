"""The facade's cold routes: searches and metadata.

Each is there twice: under a data store, and under one image set of it.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.accept import DICOM_JSON, require
from isocenter.tlm_proxy.dicomweb.dicom_json import dicom_json
from isocenter.tlm_proxy.dicomweb.frame_route import add_frames
from isocenter.tlm_proxy.dicomweb.query import parse_search
from isocenter.tlm_proxy.dicomweb.search import Found
from isocenter.tlm_proxy.dicomweb.thumbnail_routes import add_thumbnails
from isocenter.tlm_proxy.dicomweb.where import (
    ROOTS,
    Uid,
    Where,
    WhereDependency,
    where_dependency,
)
from isocenter.tlm_proxy.http.frame_routes import PROBLEMS

NonPrimary = Annotated[
    bool,
    Query(
        alias="includeNonPrimary",
        description="Also what only non-primary image sets of the study hold.",
    ),
]
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Data sets in the DICOM JSON model.",
        "content": {
            DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}
        },
    },
    **PROBLEMS,
    406: {**PROBLEMS[404], "description": "Accept takes no DICOM JSON."},
}


def dicomweb_router(context: ProcessContext) -> APIRouter:
    """The cold routes, and the hot ones for the description."""
    router = APIRouter(tags=["DICOMweb"])
    of_json = APIRouter(dependencies=[Depends(_takes_json)])
    for root in ROOTS:
        where = where_dependency(context, root)
        _add_searches(of_json, root, context, where)
        _add_metadata(of_json, root, context, where)
        add_thumbnails(router, root, context, where)
        add_frames(router, root, context)
    router.include_router(of_json)
    return router


def _add_searches(
    router: APIRouter, root: str, context: ProcessContext, where: WhereDependency
) -> None:
    here = Depends(where)

    @router.get(f"{root}/studies", response_class=Response, responses=_ANSWERS)
    async def search_studies(request: Request, at: Where = here) -> Response:
        """Search for studies (QIDO-RS, PS3.18 10.6)."""
        query = parse_search("study", request.query_params.multi_items())
        found = await context.dicomweb.searches.studies(
            at.store, at.image_set_id, query, at.client
        )
        return _answer(request, found)

    @router.get(
        f"{root}/studies/{{study}}/series", response_class=Response, responses=_ANSWERS
    )
    async def search_series(
        request: Request,
        study: Uid,
        non_primary: NonPrimary = False,
        at: Where = here,
    ) -> Response:
        """Search for the series of a study."""
        query = parse_search("series", request.query_params.multi_items())
        found = await context.dicomweb.searches.series(
            at.study(study), query, at.client, non_primary=non_primary
        )
        return _answer(request, found)

    @router.get(
        f"{root}/studies/{{study}}/series/{{series}}/instances",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def search_instances(
        request: Request,
        study: Uid,
        series: Uid,
        non_primary: NonPrimary = False,
        at: Where = here,
    ) -> Response:
        """Search for the instances of a series."""
        query = parse_search("instance", request.query_params.multi_items())
        found = await context.dicomweb.searches.instances(
            at.study(study), series, query, at.client, non_primary=non_primary
        )
        return _answer(request, found)


def _add_metadata(
    router: APIRouter, root: str, context: ProcessContext, where: WhereDependency
) -> None:
    here = Depends(where)

    @router.get(
        f"{root}/studies/{{study}}/series/{{series}}/metadata",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def series_metadata(
        request: Request,
        study: Uid,
        series: Uid,
        non_primary: NonPrimary = False,
        at: Where = here,
    ) -> Response:
        """All attributes but pixels of a series' instances (PS3.18 10.4)."""
        rows = await context.dicomweb.metadata.read(
            at.study(study), series, at.client, non_primary=non_primary
        )
        return dicom_json(rows, (), request.headers.get("accept-encoding"))


async def _takes_json(request: Request) -> None:
    require(", ".join(request.headers.getlist("accept")) or None, DICOM_JSON)


def _answer(request: Request, found: Found) -> Response:
    return dicom_json(
        found.rows, found.warnings, request.headers.get("accept-encoding")
    )
