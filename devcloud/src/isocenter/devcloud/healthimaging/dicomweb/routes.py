"""DICOMweb on the wire: its operations, their URLs, their answers.

AWS serves them at ``dicom-medical-imaging.<region>.amazonaws.com``; here they
are on HealthImaging's port, as the other host prefixes are.  There is no
service model of them: documented is the developer guide, "Using DICOMweb with
AWS HealthImaging".  Signatures are not checked, nor are bearer tokens.  Its
throttling limits (50 calls a second, 100 at once, of each retrieval) are not
enforced, as none is: switch ThrottlingException on (see ``controls``).

Assumed: errors look as those of the native actions do (AWS names
NotAcceptableException and ThrottlingException); a search without matches
answers 204 without a body, as PS3.18 8.3.4.4.1 has it; other query parameters than
imageSetId are ignored by retrievals; UIDs in URLs are digits and dots.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

import pydicom
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from isocenter.devcloud.healthimaging.dicomweb.accept import (
    DICOM,
    FRAMES,
    accepted_json,
    accepted_transfer_syntax,
)
from isocenter.devcloud.healthimaging.dicomweb.attributes import Search
from isocenter.devcloud.healthimaging.dicomweb.dicom_json import absolute, bulk_value
from isocenter.devcloud.healthimaging.dicomweb.frames import (
    multipart_frames,
    parse_frame_list,
)
from isocenter.devcloud.healthimaging.dicomweb.lookup import (
    StoredInstance,
    find_image_set,
    find_instance,
)
from isocenter.devcloud.healthimaging.dicomweb.part10 import part10
from isocenter.devcloud.healthimaging.dicomweb.query import parse_query
from isocenter.devcloud.healthimaging.dicomweb.search import search
from isocenter.devcloud.healthimaging.errors import (
    NotBuiltError,
    ResourceNotFoundError,
    ServiceError,
    ValidationError,
)
from isocenter.devcloud.healthimaging.protocol import error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from fastapi import FastAPI, Request

    from isocenter.devcloud.healthimaging.controls import Faults
    from isocenter.devcloud.healthimaging.state import State

__all__ = ["OPERATIONS", "Route", "add_dicomweb"]

_ID: Final = re.compile(r"[0-9a-z]{32}")
_UID: Final = re.compile(r"[0-9.]{1,256}")
_STUDIES: Final = "/datastore/{datastoreId}/studies"
_STUDY: Final = _STUDIES + "/{study}"
_SERIES: Final = _STUDY + "/series/{series}"
_INSTANCE: Final = _SERIES + "/instances/{instance}"


@dataclass(frozen=True)
class Route:
    """An operation's method and path, and its page of the developer guide."""

    method: str
    path: str
    page: str


# In the order of matching.
OPERATIONS: Final = {
    "SearchDICOMStudies": Route("GET", _STUDIES, "dicomweb-search-studies"),
    "SearchDICOMSeries": Route("GET", f"{_STUDY}/series", "dicomweb-search-series"),
    "SearchDICOMInstances": Route(
        "GET", f"{_SERIES}/instances", "dicomweb-search-instances"
    ),
    "SearchDICOMStudyInstances": Route(
        "GET", f"{_STUDY}/instances", "dicomweb-search-study-instances"
    ),
    "SearchDICOMAllSeries": Route(
        "GET", "/datastore/{datastoreId}/series", "dicomweb-search-all-series"
    ),
    "SearchDICOMAllInstances": Route(
        "GET", "/datastore/{datastoreId}/instances", "dicomweb-search-all-instances"
    ),
    "GetDICOMSeriesMetadata": Route(
        "GET", f"{_SERIES}/metadata", "dicomweb-retrieve-series-metadata"
    ),
    "GetDICOMInstance": Route("GET", _INSTANCE, "dicomweb-retrieve-instance"),
    "GetDICOMInstanceMetadata": Route(
        "GET", f"{_INSTANCE}/metadata", "dicomweb-retrieve-instance-metadata"
    ),
    "GetDICOMInstanceFrames": Route(
        "GET",
        _INSTANCE + "/frames/{frameList}",
        "dicomweb-retrieve-instance-frames",
    ),
    "GetDICOMBulkdata": Route(
        "GET", _INSTANCE + "/bulkdata/{hash}", "dicom-retrieve-bulkdata"
    ),
    "StoreDICOM": Route("POST", _STUDIES, "dicomweb-storing"),
    "StoreDICOMStudy": Route("POST", _STUDY, "dicomweb-storing"),
}


def add_dicomweb(app: FastAPI, state: State, faults: Faults) -> None:
    """A route for each operation; one that is not built is a 501 by name."""
    service = _Service(state)
    built: dict[str, Callable[[Request], Response]] = {
        **{name: service.search(name) for name in get_args(Search)},
        "GetDICOMSeriesMetadata": service.series_metadata,
        "GetDICOMInstance": service.instance,
        "GetDICOMInstanceMetadata": service.instance_metadata,
        "GetDICOMInstanceFrames": service.frames,
        "GetDICOMBulkdata": service.bulkdata,
    }
    for name, route in OPERATIONS.items():
        call = built.get(name)
        endpoint = _endpoint(name, call, faults) if call else _not_built(name)
        app.add_route(route.path, endpoint, methods=[route.method], name=name)


def _endpoint(
    name: str, call: Callable[[Request], Response], faults: Faults
) -> Callable[[Request], Awaitable[Response]]:
    faults.know(name)

    def serve(request: Request) -> Response:
        try:
            _check_path(request.path_params)
            faults.check(name)
            return call(request)
        except ServiceError as error:
            return error_response(error)

    async def endpoint(request: Request) -> Response:
        response = await run_in_threadpool(serve, request)
        response.headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
        return response

    return endpoint


def _not_built(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_: Request) -> Response:
        return error_response(NotBuiltError(f"devcloud does not have {name}"))

    return refuse


def _check_path(path_params: dict[str, str]) -> None:
    if not _ID.fullmatch(path_params["datastoreId"]):
        raise ValidationError("datastoreId must be 32 digits and small letters")
    for name in ("study", "series", "instance"):
        if name in path_params and not _UID.fullmatch(path_params[name]):
            raise ValidationError(f"The {name} in the URL is not a UID")


class _Service:
    """The operations; each takes a checked path."""

    def __init__(self, state: State) -> None:
        self._state = state

    def search(self, operation: Search) -> Callable[[Request], Response]:
        """A search operation."""

        def call(request: Request) -> Response:
            media_type = accepted_json(request.headers.get("accept"))
            query = parse_query(operation, request.query_params.multi_items())
            rows = search(
                self._state, operation, request.path_params, query, _base_url(request)
            )
            if not rows:
                return Response(status_code=204)
            return Response(f"[{','.join(rows)}]", media_type=media_type)

        return call

    def series_metadata(self, request: Request) -> Response:
        """Every instance of a series, in the order of import."""
        media_type = accepted_json(request.headers.get("accept"))
        path = request.path_params
        image_set = find_image_set(
            self._state,
            path["datastoreId"],
            path["study"],
            path["series"],
            _image_set_id(request),
        )
        url = _series_url(request)

        def pieces() -> Iterator[str]:
            separator = "["
            for uid in list(image_set.instances):
                instance = StoredInstance(self._state, image_set, uid)
                yield separator + _metadata(instance, f"{url}/instances/{uid}")
                separator = ","
            yield "]"

        return StreamingResponse(pieces(), media_type=media_type)

    def instance_metadata(self, request: Request) -> Response:
        """One instance, in an array."""
        media_type = accepted_json(request.headers.get("accept"))
        text = _metadata(self._instance(request), _instance_url(request))
        return Response(f"[{text}]", media_type=media_type)

    def instance(self, request: Request) -> Response:
        """A P10 file."""
        asked = accepted_transfer_syntax(request.headers.get("accept"), DICOM)
        body, transfer_syntax = part10(self._instance(request), asked)
        content_type = f"{DICOM}; transfer-syntax={transfer_syntax}"
        return Response(body, headers={"Content-Type": content_type})

    def frames(self, request: Request) -> Response:
        """Frames in a multipart answer."""
        asked = accepted_transfer_syntax(request.headers.get("accept"), FRAMES)
        numbers = parse_frame_list(request.path_params["frameList"])
        body, content_type = multipart_frames(self._instance(request), numbers, asked)
        return Response(body, headers={"Content-Type": content_type})

    def bulkdata(self, request: Request) -> Response:
        """A value that metadata gives by its BulkDataURI."""
        accepted_transfer_syntax(request.headers.get("accept"), FRAMES)
        ds = pydicom.dcmread(self._instance(request).p10)
        value = bulk_value(ds, request.path_params["hash"])
        if value is None:
            raise ResourceNotFoundError("The instance has no such bulk data")
        return Response(value, media_type=FRAMES)

    def _instance(self, request: Request) -> StoredInstance:
        path = request.path_params
        return find_instance(
            self._state,
            path["datastoreId"],
            (path["study"], path["series"], path["instance"]),
            _image_set_id(request),
        )


def _metadata(instance: StoredInstance, url: str) -> str:
    return absolute(instance.dicom_json.read_text(encoding="ascii"), url)


def _image_set_id(request: Request) -> str | None:
    found = request.query_params.get("imageSetId")
    if found is not None and not _ID.fullmatch(found):
        raise ValidationError("imageSetId must be 32 digits and small letters")
    return found


def _base_url(request: Request) -> str:
    url = request.url
    return f"{url.scheme}://{url.netloc}/datastore/{request.path_params['datastoreId']}"


def _series_url(request: Request) -> str:
    path = request.path_params
    return f"{_base_url(request)}/studies/{path['study']}/series/{path['series']}"


def _instance_url(request: Request) -> str:
    return f"{_series_url(request)}/instances/{request.path_params['instance']}"
