"""Frames from the worker that owns them: one upstream call a frame, a pod.

A worker that is not a frame's owner takes its bytes from the owner, which joins
all who ask it, other workers included. If the owner is dead, it asks
HealthImaging itself: an answer is worth more than a saved call.
"""

from collections.abc import AsyncIterator

import aiohttp

from isocenter.core.errors import UnavailableError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.source import ArrivingFrame, FrameSource
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.workers.failures import load_failure
from isocenter.tlm_proxy.workers.place import Place

CLIENT = "X-Isocenter-Client"
"""On whose account a frame is asked for; a digest."""
_OK = 200
_CONNECT_S = 2.0
_UNKNOWN_TYPE = "application/octet-stream"


class OwnerFrame:
    """A frame that another worker has begun to send."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.media_type = response.headers.get("Content-Type", _UNKNOWN_TYPE)
        self.size = response.content_length

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes as they arrive.

        Raises:
            UnavailableError: the other worker broke off.
        """
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError("the worker that sent it broke off") from error

    def close(self) -> None:
        """Close the connection, unless the frame was read to its end."""
        self._response.close()


class OwnerSource:
    """The source of frames of one worker among several.

    Args:
        place: which one this is.
        upstream: HealthImaging, for the frames that are this worker's own.
        metrics: where calls of other workers are counted.
        idle_s: seconds without a byte before another worker is given up: more than
            it may itself wait for HealthImaging, or that would be asked twice.
    """

    def __init__(
        self, place: Place, upstream: FrameSource, metrics: Metrics, idle_s: float
    ) -> None:
        self._place = place
        self._upstream = upstream
        self._metrics = metrics
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_S, sock_read=idle_s
        )
        self._sessions: dict[int, aiohttp.ClientSession] = {}

    async def frame(self, key: FrameKey, client: str) -> ArrivingFrame:
        """The frame, from its owner or from HealthImaging; as FrameSource."""
        owner = self._place.workers.owner(key)
        if owner == self._place.number:
            return await self._upstream.frame(key, client)
        try:
            response = await self._session(owner).get(
                f"http://worker/frame/{'/'.join(key)}", headers={CLIENT: client}
            )
        except (aiohttp.ClientError, OSError):
            # OSError: TimeoutError too. Nothing of the frame was sent yet.
            self._metrics.worker_calls.labels("no answer").inc()
            return await self._upstream.frame(key, client)
        if response.status == _OK:
            self._metrics.worker_calls.labels("frame").inc()
            return OwnerFrame(response)
        self._metrics.worker_calls.labels("failure").inc()
        try:
            raise load_failure(await response.read())
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError("the worker that owns it broke off") from error
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close connections to other workers."""
        for session in self._sessions.values():
            await session.close()

    def _session(self, owner: int) -> aiohttp.ClientSession:
        session = self._sessions.get(owner)
        if session is None:
            path = str(self._place.workers.socket(owner))
            session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path, limit=0),
                timeout=self._timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._sessions[owner] = session
        return session
