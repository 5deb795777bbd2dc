"""What a worker serves to the others, on a socket that only they can reach."""

import logging
from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from isocenter.core.errors import IsocenterError
from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.frames.store import FrameKey, Frames
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.workers.failures import dump_failure
from isocenter.tlm_proxy.workers.owner_source import CLIENT
from isocenter.tlm_proxy.workers.place import Place

log = logging.getLogger(__name__)

_ID = ID_PATTERN.strip("^$")
_FAILED = 500


class OwnerServer:
    """Serves frames, metrics and readiness.

    Args:
        place: which worker this is.
        frames: its frames.
        metrics: its metrics.
        problem: why it can't do its work now; None if it can.
        drain_s: seconds that others are given to read on when it stops.
    """

    def __init__(
        self,
        place: Place,
        frames: Frames,
        metrics: Metrics,
        problem: Callable[[], str | None],
        *,
        drain_s: float = 0,
    ) -> None:
        self._place = place
        self._frames = frames
        self._metrics = metrics
        self._problem = problem
        app = web.Application()
        app.router.add_get(
            f"/frame/{{region}}/{{datastore:{_ID}}}/{{image_set:{_ID}}}/{{frame:{_ID}}}",
            self._frame,
        )
        app.router.add_get("/metrics", self._exposition)
        app.router.add_get("/readyz", self._ready)
        # Cancelled handlers: a client that is gone costs nothing more.
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=drain_s,
        )

    async def open(self) -> None:
        """Begin to serve."""
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._place.socket)).start()

    async def aclose(self) -> None:
        """Stop: the others read to their ends, and turn to HealthImaging for more."""
        await self._runner.cleanup()

    async def _frame(self, request: web.Request) -> web.StreamResponse:
        asked = request.match_info
        key = FrameKey(
            asked["region"], asked["datastore"], asked["image_set"], asked["frame"]
        )
        client = request.headers.get(CLIENT, "")
        stored = self._frames.stored(key)
        if stored is not None:
            headers = {"Content-Type": stored.media_type}
            return web.Response(body=stored.body, headers=headers)
        response: web.StreamResponse | None = None
        try:
            reader = await self._frames.open(key, client)
            try:
                found = await reader.locate(None)
                response = web.StreamResponse(
                    headers={"Content-Type": reader.media_type}
                )
                response.content_length = reader.size
                await response.prepare(request)
                async for piece in reader.pieces(found):
                    await response.write(piece)
            finally:
                reader.close()
            await response.write_eof()
        except ConnectionError:
            # The other worker is gone, or its client is.
            raise
        except Exception as error:
            if response is None:
                return web.Response(body=dump_failure(error), status=_FAILED)
            if not isinstance(error, IsocenterError):
                log.exception("a frame for another worker failed unexpectedly")
            if request.transport is not None:
                request.transport.abort()
            return response
        return response

    async def _exposition(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry))

    async def _ready(self, _: web.Request) -> web.Response:
        problem = self._problem()
        return web.Response(text=problem or "", status=503 if problem else 200)
