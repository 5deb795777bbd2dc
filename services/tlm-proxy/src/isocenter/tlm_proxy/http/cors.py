"""CORS by allow-list, hot routes and preflights included."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from isocenter.tlm_proxy.http.problems import Problem

_METHODS = ("GET", "HEAD", "POST")
_ASKED = ("Authorization", "Content-Type", "If-None-Match", "If-Range", "Range")
_SHOWN = (
    "Accept-Ranges",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Retry-After",
    "WWW-Authenticate",
)
_PREFLIGHT_S = 3600
_BAD_REQUEST = 400


class CrossOrigin(CORSMiddleware):
    """Starlette's, without credentials: tokens go in Authorization alone.

    Args:
        app: what is behind it.
        origins: whose pages may read answers; never ``*``.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED,
            expose_headers=_SHOWN,
            max_age=_PREFLIGHT_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight; a refusal is a problem document."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < _BAD_REQUEST:
            return answer
        told = Problem(
            answer.status_code,
            "about:blank",
            "Bad Request",
            bytes(answer.body).decode(),
            {"vary": "Origin"},
        )
        return Response(told.body, told.status, told.headers)
