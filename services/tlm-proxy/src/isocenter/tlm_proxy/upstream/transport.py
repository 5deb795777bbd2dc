"""One call of HealthImaging over HTTP: guarded, signed, tried again, translated."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from isocenter.core.errors import AwsError, BusyError, UnavailableError
from isocenter.tlm_proxy.errors import DeadlineError, OverloadedError
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.failures import (
    SERVER_ERROR,
    failure,
    is_throttling,
    parse_error,
    parse_retry_after,
)
from isocenter.tlm_proxy.upstream.guard import Guard, Turn
from isocenter.tlm_proxy.upstream.signing import SignedRequest

log = logging.getLogger(__name__)

_ANSWERED = frozenset({200, 204})
_ERROR_BODY = 16 * 1024
"""Bytes of an error's body that are read."""
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_CONNECT_S = 5.0
_FOR_THE_CALL = 0.25
"""Part of the deadline that a call is left with, however long it waited."""
_PATIENCE_S = 2.0
"""A call given less time than this and not answered says nothing of the service."""


@dataclass(frozen=True)
class Call:
    """What is asked.

    Attributes:
        operation: such as "GetImageFrame".
        what: in words, for errors: "read frame …"; no value of a search.
        thing: what it reads, for errors: "frame …".
        subject: what it is about, for the circuit alone: never shown.
        sign: makes the request, signed now.
        count: told the outcome: an HTTP status, "no answer" or "deadline".
        quote: whether HealthImaging's own words may stand in an error: not if
            they can repeat what was searched for.
        accept_encoding: the header's value.
    """

    operation: str
    what: str
    thing: str
    subject: str
    sign: Callable[[], Awaitable[SignedRequest]]
    count: Callable[[str], None]
    quote: bool = True
    accept_encoding: str = "identity"


class Arriving:
    """An answer that has begun to arrive; whoever has it closes it."""

    def __init__(
        self, response: aiohttp.ClientResponse, turn: Turn, thing: str
    ) -> None:
        self._response = response
        self._turn = turn
        self._thing = thing
        self.status = response.status
        self.headers = response.headers
        self.size = response.content_length

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body's bytes as they arrive, to the end.

        Raises:
            DeadlineError: no byte for ``upstream_idle_s``.
            UnavailableError: the connection broke.
        """
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except TimeoutError as error:
            raise DeadlineError(f"{self._thing} stopped coming") from error
        except aiohttp.ClientError as error:
            raise UnavailableError(
                f"{self._thing} broke off: {type(error).__name__}"
            ) from error
        self._turn.end()

    def close(self) -> None:
        """Close the connection, unless all was read; may be called again."""
        self._response.close()
        self._turn.end()


class Transport:
    """Makes calls; to be built inside the loop they are made in.

    Args:
        settings: deadlines and attempts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = _open_session(settings)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._session.close()

    async def send(self, call: Call, guard: Guard, client: str) -> Arriving:
        """The answer to ``call``, once its headers are here.

        Throttling and server errors are tried again with growing, random pauses,
        or as long as HealthImaging says, until ``upstream_attempts`` or
        ``upstream_deadline_s`` since now is used up.

        Raises:
            AwsError: NotFoundError, DeniedError, CredentialsError, RefusedError,
                OverloadedError, UnavailableError, CircuitOpenError or
                DeadlineError.
        """
        deadline_s = self._settings.upstream_deadline_s
        now = asyncio.get_running_loop().time
        until = now() + deadline_s
        attempt = 1
        while True:
            turn = await guard.enter(client, until - deadline_s * _FOR_THE_CALL)
            try:
                return await self._once(call, turn, until)
            except (BusyError, UnavailableError) as error:
                pause = _pause(attempt, error)
                latest = until - deadline_s * _FOR_THE_CALL
                if attempt >= self._settings.upstream_attempts or (
                    now() + pause >= latest
                ):
                    raise
                log.info(
                    "%s is tried again",
                    call.operation,
                    extra={"attempt": attempt, "error": str(error)}
                    | {"duration_s": round(pause, 3)},
                )
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(self, call: Call, turn: Turn, until: float) -> Arriving:
        try:
            response = await self._answer(call, turn, until)
        except BaseException:
            turn.end()
            raise
        return Arriving(response, turn, call.thing)

    async def _answer(
        self, call: Call, turn: Turn, until: float
    ) -> aiohttp.ClientResponse:
        """The answer, if it is one; the guard is told either way."""
        response = await self._request(call, turn, until)
        if response.status in _ANSWERED:
            turn.succeeded()
            return response
        try:
            error = await _failure(response, call)
        finally:
            response.close()
        if is_throttling(error):
            turn.throttled()
        if response.status >= SERVER_ERROR:
            turn.failed(call.subject)
        else:
            turn.succeeded()
        raise error

    async def _request(
        self, call: Call, turn: Turn, until: float
    ) -> aiohttp.ClientResponse:
        request = await _signed(call, until)
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout_at(until):
                response = await self._session.request(
                    request.method,
                    # Signed as written: not to be normalised on the way.
                    URL(request.url, encoded=True),
                    headers={
                        **request.headers,
                        "Accept-Encoding": call.accept_encoding,
                    },
                    data=request.body or None,
                    allow_redirects=False,
                )
        # The clause's order: aiohttp's time-outs are TimeoutErrors, too.
        except aiohttp.ServerTimeoutError as error:
            connected = isinstance(error, aiohttp.SocketTimeoutError)
            call.count("no answer")
            turn.failed(call.subject)
            if connected:
                raise DeadlineError(
                    f"could not {call.what}: no answer within "
                    f"{self._settings.upstream_idle_s} s"
                ) from error
            raise UnavailableError(
                f"could not {call.what}: no connection within {_CONNECT_S} s"
            ) from error
        except TimeoutError as error:
            call.count("deadline")
            if now() - began >= _PATIENCE_S:
                turn.failed(call.subject)
            raise DeadlineError(
                f"could not {call.what}: no answer within "
                f"{self._settings.upstream_deadline_s} s"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            call.count("no answer")
            turn.failed(call.subject)
            raise UnavailableError(
                f"could not {call.what}: {type(error).__name__}"
            ) from error
        call.count(str(response.status))
        return response


def _open_session(settings: Settings) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # The guards say how many: clients take turns there, and not here.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
        timeout=aiohttp.ClientTimeout(
            total=None,
            sock_connect=_CONNECT_S,
            sock_read=settings.upstream_idle_s,
        ),
        # A frame is passed on as it was stored; JSON is inflated with a limit.
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "isocenter-tlm-proxy"},
    )


async def _signed(call: Call, until: float) -> SignedRequest:
    try:
        async with asyncio.timeout_at(until):
            return await call.sign()
    except TimeoutError as error:
        # Which says nothing of the service, so the guard is told nothing.
        call.count("deadline")
        raise DeadlineError(
            f"could not {call.what}: no AWS credentials in time"
        ) from error


def _pause(attempt: int, error: AwsError) -> float:
    """Seconds before the next attempt: full jitter, as AWS's SDKs do.

    Not sooner than HealthImaging said, and not all at the same time then.
    """
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
    jitter = random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing
    if isinstance(error, OverloadedError) and error.said:
        return error.retry_after + jitter
    return jitter


async def _failure(response: aiohttp.ClientResponse, call: Call) -> AwsError:
    """The failure that an error response tells of (rest-json protocol)."""
    body = bytearray()
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _ERROR_BODY:
                break
    except (aiohttp.ClientError, TimeoutError):
        body.clear()
    code, message = parse_error(
        response.status, response.headers.get("x-amzn-ErrorType", ""), bytes(body)
    )
    return failure(
        response.status,
        code,
        message if call.quote else f"HTTP {response.status}",
        operation=call.operation,
        what=call.what,
        pause=parse_retry_after(response.headers.get("Retry-After")),
    )
