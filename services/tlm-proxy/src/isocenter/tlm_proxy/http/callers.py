"""Who asks: the same check for hot and for cold routes."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.http.hot import HotRequest

_AUTHORIZATION = b"authorization"


def known_caller(context: ProcessContext, request: HotRequest) -> Caller | None:
    """The caller, if their token was checked before and is still good."""
    values = request.headers(_AUTHORIZATION)
    if len(values) > 1:
        return None
    return context.access.known(values[0] if values else None)


async def caller_of(context: ProcessContext, request: HotRequest) -> Caller:
    """The caller of a hot route.

    Raises:
        UnauthorizedError: no token, or not a good one.
        KeysUnavailableError: the issuer's keys can't be read.
    """
    caller = known_caller(context, request)
    if caller is not None:
        return caller
    values = request.headers(_AUTHORIZATION)
    return await context.access.check([value.decode("latin-1") for value in values])


def caller_dependency(
    context: ProcessContext,
) -> Callable[[Request], Awaitable[Caller]]:
    """FastAPI's dependency that gives the caller of a cold route."""

    async def caller(request: Request) -> Caller:
        hot = HotRequest(request.scope, request.receive, request.method, ())
        return await caller_of(context, hot)

    return caller
