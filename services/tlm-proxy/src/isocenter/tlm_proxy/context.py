"""Everything the proxy has once per process, built together, closed together."""

import asyncio
import logging
from contextlib import suppress
from typing import Self

import aiohttp

from isocenter.tlm_proxy.access.issuer import Issuer, JwksReader, KeySet, issuer_of
from isocenter.tlm_proxy.access.tokens import Access, OpenAccess, TokenAccess
from isocenter.tlm_proxy.errors import CredentialsError
from isocenter.tlm_proxy.frames.cache import FrameCache
from isocenter.tlm_proxy.frames.transfer import Frames
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.image_frame import Upstream, open_session
from isocenter.tlm_proxy.upstream.signing import FrameSigner

log = logging.getLogger(__name__)

_UNREADY_PAUSE_S = 5.0
_READY_PAUSE_S = 60.0


class ProcessContext:
    """The process's singletons.

    Attributes:
        settings: what the process was told.
        metrics: its metrics.
        frames: frames and levels; set by ``open``.
        access: who may read; set by ``open``.
    """

    def __init__(
        self,
        settings: Settings,
        signer: FrameSigner,
        issuer: Issuer | None,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self._signer = signer
        self._issuer = issuer
        self._sessions: list[aiohttp.ClientSession] = []
        self._preparing: asyncio.Task[None] | None = None
        self._waits_for: str | None = "starting"

    @classmethod
    def build(cls, settings: Settings, metrics: Metrics) -> Self:
        """A context that is not open yet.

        Raises:
            ConfigurationError: no AWS region is set.
        """
        return cls(settings, FrameSigner.connect(), issuer_of(settings), metrics)

    async def open(self) -> None:
        """Open sessions and begin to get ready; call inside the serving loop."""
        upstream = open_session(self.settings)
        self._sessions.append(upstream)
        self.frames = Frames(
            Upstream(upstream, self._signer, self.settings, self.metrics),
            FrameCache(self.settings.cache_max_bytes, self.metrics),
            self.metrics,
        )
        self.access = self._open_access()
        self._preparing = asyncio.create_task(self._prepare())

    async def aclose(self) -> None:
        """Stop background work and close connections."""
        if self._preparing is not None:
            self._preparing.cancel()
            with suppress(asyncio.CancelledError):
                await self._preparing
        await self.frames.aclose()
        for session in self._sessions:
            await session.close()

    def problem(self) -> str | None:
        """Why the proxy can't do its work now; None if it can."""
        return self._waits_for or self.access.problem()

    def _open_access(self) -> Access:
        if self._issuer is None:
            log.warning("auth_mode is none: whoever reaches this port reads frames")
            return OpenAccess()
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._sessions.append(session)
        keys = KeySet(JwksReader(session, self._issuer))
        if self.settings.auth_mode == "cognito":
            claims = {
                "token_use": "access",
                "client_id": str(self.settings.cognito_client_id),
            }
            return TokenAccess(keys, self._issuer.name, None, claims)
        return TokenAccess(keys, self._issuer.name, self.settings.oidc_audience, {})

    async def _prepare(self) -> None:
        """Keep credentials and keys at hand, so that no request waits for them.

        Readiness waits for the first time; requests don't: they try by themselves.
        """
        while True:
            try:
                await self._signer.credentials()
                self._waits_for = None
            except CredentialsError as error:
                self._waits_for = "no AWS credentials"
                log.warning("no AWS credentials", extra={"error": str(error)})
            await self.access.prepare()
            await asyncio.sleep(_UNREADY_PAUSE_S if self.problem() else _READY_PAUSE_S)
