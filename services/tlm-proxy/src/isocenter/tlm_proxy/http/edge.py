"""The outermost layer: hot routes first, FastAPI behind them, all counted.

It is the one place where failures become problem documents for hot routes, where
CORS and tokens in URLs are dealt with for every route, and where answers are
counted. Plain ASGI: it must not buffer a stream.
"""

import re
from collections.abc import Sequence
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isocenter.tlm_proxy.errors import TokenInUrlError
from isocenter.tlm_proxy.http.answer_counts import CACHE
from isocenter.tlm_proxy.http.cors import CrossOrigin
from isocenter.tlm_proxy.http.hot import HotRequest, HotRoute, HotRoutes, Immediate
from isocenter.tlm_proxy.http.problems import problem_of
from isocenter.tlm_proxy.metrics import Metrics

_TOKEN = re.compile(
    rb"(?:^|&)(?:access_token|authorization|bearer|id_token|jwt|token)=", re.IGNORECASE
)
_VARY = (b"vary", b"Origin")
_VARY_LINE = b"vary: Origin\r\n"
_FULL = 200
_COLD = {
    "dicomweb": "dicomweb",
    "usage": "usage",
    "datastore": "frame",
} | dict.fromkeys(("healthcheck", "healthz", "readyz", "metrics"), "probe")


class Edge:
    """The application that the server runs.

    Args:
        cold: FastAPI's application.
        routes: the hot routes.
        origins: whose pages may read answers.
        metrics: where answers are counted.
    """

    def __init__(
        self,
        cold: ASGIApp,
        routes: Sequence[HotRoute],
        origins: Sequence[str],
        metrics: Metrics,
    ) -> None:
        self.metrics = metrics
        self._cold = cold
        self._hot = HotRoutes(routes)
        self._answers = metrics.answers
        self._cross_origin = CrossOrigin(self._answer, origins) if origins else None
        self._under_way = metrics.requests_under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._cold(scope, receive, send)
            return
        started = perf_counter()
        found = self._hot.find(scope["method"], scope["path"])
        route = found[0].name if found else _cold_route(scope["path"])
        status = 0
        vary = self._cross_origin is not None

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if vary:
                    _add_vary(message)
            await send(message)

        self._under_way.inc()
        try:
            if self._cross_origin is None or not _has_origin(scope):
                await self._answer(scope, receive, counted)
            else:
                await self._cross_origin(scope, receive, counted)
        finally:
            self._under_way.dec()
            if status:
                self._answers.add(route, status, perf_counter() - started)

    def immediate(
        self, scope: Scope, path: str, method: str = "GET", content: bytes = b""
    ) -> Immediate | None:
        """The answer to a request that needs no waiting; None for any other.

        Args:
            scope: ASGI's scope, with ``headers`` and ``query_string``.
            path: the request's path, unquoted.
            method: GET or POST.
            content: the whole body of a POST.
        """
        started = perf_counter()
        found = self._hot.find(method, path)
        if found is None:
            return None
        route, params = found
        if route.immediate is None:
            return None
        query = scope["query_string"]
        if query and _TOKEN.search(query):
            return None
        if self._cross_origin is not None and _has_origin(scope):
            return None
        answer = route.immediate(HotRequest(scope, _nothing, method, params, content))
        if answer is None:
            return None
        if self._cross_origin is not None:
            answer = answer._replace(headers=answer.headers + _VARY_LINE)
        self._answers.add(route.name, _FULL, perf_counter() - started)
        self._answers.sent[CACHE] += answer.length
        return answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            query = scope["query_string"]
            if query and _TOKEN.search(query):
                raise TokenInUrlError  # noqa: TRY301 - told as any other failure
            found = self._hot.find(scope["method"], scope["path"])
            if found is None:
                await self._cold(scope, receive, noticed)
                return
            route, params = found
            request = HotRequest(scope, receive, scope["method"], params)
            await route.handler(request, noticed)
        except Exception as error:
            if begun:
                # The status is out: the server breaks the connection off.
                raise
            await problem_of(error).send(send, head=scope["method"] == "HEAD")


def _cold_route(path: str) -> str:
    return _COLD.get(path.split("/", 2)[1] if "/" in path else "", "other")


def _has_origin(scope: Scope) -> bool:
    return any(name == b"origin" for name, _ in scope["headers"])


def _add_vary(message: Message) -> None:
    """A cache must not give one origin's answer to another."""
    headers = message.setdefault("headers", [])
    if not any(name.lower() == b"vary" for name, _ in headers):
        message["headers"] = [*headers, _VARY]


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
