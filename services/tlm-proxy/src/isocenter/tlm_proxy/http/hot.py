"""Hot routes: raw ASGI before FastAPI's routing.

That costs three times as much as all the rest of a small answer. A hot route also
stands in FastAPI's application, so that it is described in /openapi.json; there
its endpoint returns a ``HotResponse``, which ends in the same handler.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from isocenter.tlm_proxy.errors import BadRequestError, TooLargeError

_MAX_QUERY_FIELDS = 50


class HotRequest:
    """A request, read only as far as its handler asks.

    Attributes:
        scope: ASGI's scope.
        receive: ASGI's receive.
        method: HTTP method, in capitals.
        params: the groups of the route's pattern.
        content: the whole body, given to an immediate handler only.
    """

    __slots__ = ("_query", "content", "method", "params", "receive", "scope")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        method: str,
        params: tuple[str, ...],
        content: bytes = b"",
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.method = method
        self.params = params
        self.content = content
        self._query: dict[str, str] | None = None

    def query(self, name: str) -> str | None:
        """The query parameter of this name; None if there is none.

        Raises:
            BadRequestError: the query has a name twice, or can't be read.
        """
        if not self.scope["query_string"]:
            return None
        if self._query is None:
            self._query = _parsed(self.scope["query_string"])
        return self._query.get(name)

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name, in lower case; None if there is none."""
        for key, value in self.scope["headers"]:
            if key == name:
                return bytes(value)
        return None

    def headers(self, name: bytes) -> list[bytes]:
        """All headers of this name, in lower case."""
        return [value for key, value in self.scope["headers"] if key == name]

    async def body(self, limit: int) -> bytes:
        """The request's body.

        Raises:
            TooLargeError: it is over ``limit`` bytes.
            BadRequestError: the client went away before its end.
        """
        body: bytes = b""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequestError("the request's body broke off")
            piece: bytes = message.get("body", b"")
            body += piece
            if len(body) > limit:
                raise TooLargeError(f"the body is over {limit} bytes")
            if not message.get("more_body", False):
                return body


class Immediate(NamedTuple):
    """A whole answer, 200, that is here already.

    Attributes:
        headers: its headers as they go out, Content-Length among them; each line
            with its end.
        body: its body, in pieces; written one after the other.
        length: bytes of the body.
        frame: what the body is of; kept for as long as it is being sent, which is
            how the cache knows of its memory.
    """

    headers: bytes
    body: tuple[bytes | memoryview, ...]
    length: int
    frame: object = None


HotHandler = Callable[[HotRequest, Send], Awaitable[None]]
"""Answers; failures are raised, ``problems.py`` tells them."""
ImmediateHandler = Callable[[HotRequest], Immediate | None]
"""Answers at once, without waiting, or says None: then the handler is called.

It must not raise. A GET's body may not have arrived; a POST's is in ``content``."""


@dataclass(frozen=True, slots=True)
class HotRoute:
    """One hot route.

    Attributes:
        methods: the methods it takes.
        path: matched against the whole path; its groups are the parameters.
        handler: answers.
        immediate: answers from memory, without a task; None for no such way.
        name: label of the route in metrics.
    """

    methods: frozenset[str]
    path: re.Pattern[str]
    handler: HotHandler
    immediate: ImmediateHandler | None = None
    name: str = "frame"


class HotRoutes:
    """All hot routes; the first that matches is taken."""

    def __init__(self, routes: Sequence[HotRoute]) -> None:
        self._routes = tuple(
            (route.path.fullmatch, route.methods, route) for route in routes
        )

    def find(self, method: str, path: str) -> tuple[HotRoute, tuple[str, ...]] | None:
        """The route and its parameters; None for a cold one."""
        for match, methods, route in self._routes:
            if method in methods and (found := match(path)):
                # str | Any: a group that took no part would be None.
                groups: tuple[str | Any, ...] = found.groups()
                return route, groups
        return None


class HotResponse(Response):
    """A cold endpoint's answer that is given by a hot handler."""

    def __init__(self, handler: HotHandler, params: tuple[str, ...]) -> None:
        super().__init__()
        self._handler = handler
        self._params = params

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over."""
        request = HotRequest(scope, receive, scope["method"], self._params)
        await self._handler(request, send)


def _parsed(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=_MAX_QUERY_FIELDS,
        )
    except ValueError as error:
        raise BadRequestError(
            f"the query has over {_MAX_QUERY_FIELDS} parameters"
        ) from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRequestError("the query names a parameter twice")
    return found
