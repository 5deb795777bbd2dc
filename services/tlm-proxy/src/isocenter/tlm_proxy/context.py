"""Everything a serving process has once, built together, closed together."""

import asyncio
import logging
from contextlib import suppress
from typing import Self

from prometheus_client import generate_latest

from isocenter.tlm_proxy.access.caller import Access
from isocenter.tlm_proxy.access.tokens import build_access
from isocenter.tlm_proxy.dicomweb.facade import DicomWeb
from isocenter.tlm_proxy.frames.memory import give_big_blocks_back
from isocenter.tlm_proxy.frames.store import Frames, FrameSource
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.healthimaging import Upstream
from isocenter.tlm_proxy.workers.exposition import exposition
from isocenter.tlm_proxy.workers.owner_server import OwnerServer
from isocenter.tlm_proxy.workers.owner_source import OwnerSource
from isocenter.tlm_proxy.workers.place import Place

log = logging.getLogger(__name__)

_UNREADY_PAUSE_S = 5.0
_READY_PAUSE_S = 60.0


class ProcessContext:
    """The process's singletons.

    Args:
        settings: what the process was told; of one worker, its share of it.
        metrics: its metrics.
        upstream: HealthImaging, not open yet.
        access: who may read, not open yet.
        place: which worker this is; None if it is the only one.

    Attributes:
        settings: as given, with ``regions`` filled in.
        region: the process's own AWS region.
        metrics: as given.
        upstream: as given.
        access: as given.
        frames: frames and levels.
        dicomweb: the parts of the DICOMweb facade.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        upstream: Upstream,
        access: Access,
        place: Place | None = None,
    ) -> None:
        self.settings = settings.model_copy(update={"regions": upstream.regions})
        self.region = upstream.region
        self.metrics = metrics
        self.upstream = upstream
        self.access = access
        self._place = place
        source: FrameSource = upstream
        self._owners: OwnerSource | None = None
        if place is not None:
            source = self._owners = OwnerSource(
                place,
                upstream,
                metrics,
                settings.upstream_deadline_s + 2 * settings.upstream_idle_s,
            )
        self.frames = Frames(source, settings.cache_max_bytes, metrics)
        self.dicomweb = DicomWeb(
            self.settings, self.frames, upstream.dicomweb, upstream.image_sets
        )
        self._owner_server = (
            OwnerServer(
                place, self.frames, metrics, self.problem, drain_s=settings.drain_s
            )
            if place
            else None
        )
        self._preparing: asyncio.Task[None] | None = None

    @classmethod
    def build(
        cls, settings: Settings, metrics: Metrics, place: Place | None = None
    ) -> Self:
        """A context that is not open yet.

        Raises:
            ConfigurationError: no AWS region is set.
        """
        settings = share_of(settings)
        upstream = Upstream.build(settings, metrics)
        access = build_access(settings, metrics)
        return cls(settings, metrics, upstream, access, place)

    async def open(self) -> None:
        """Open sessions and begin to get ready; call inside the serving loop."""
        give_big_blocks_back()
        await self.upstream.open()
        await self.access.open()
        if self._owner_server is not None:
            await self._owner_server.open()
        self._preparing = asyncio.create_task(self._prepare())

    async def aclose(self) -> None:
        """Stop background work and close connections."""
        if self._preparing is not None:
            self._preparing.cancel()
            with suppress(asyncio.CancelledError):
                await self._preparing
        self.dicomweb.close()
        # Other workers' clients still read frames that this one owns.
        self.frames.stop_unread()
        if self._owner_server is not None:
            await self._owner_server.aclose()
        await self.frames.aclose()
        if self._owners is not None:
            await self._owners.aclose()
        await self.access.aclose()
        await self.upstream.aclose()

    def problem(self) -> str | None:
        """Why the proxy can't do its work now; None if it can."""
        return self.upstream.problem() or self.access.problem()

    async def exposition(self) -> bytes:
        """Prometheus's text format; of all workers, if there are several."""
        if self._place is not None:
            return await asyncio.to_thread(exposition, self._place.workers)
        return generate_latest(self.metrics.registry)

    async def _prepare(self) -> None:
        """Keep credentials and keys at hand, so that no request waits for them.

        Readiness waits for the first time; requests don't: they try by themselves.
        """
        while True:
            try:
                await self.upstream.prepare()
                await self.access.prepare()
            except Exception:  # whatever it is, credentials must not run out for it
                log.exception("getting ready failed unexpectedly")
            await asyncio.sleep(_UNREADY_PAUSE_S if self.problem() else _READY_PAUSE_S)


def share_of(settings: Settings) -> Settings:
    """One worker's share of what all of them may use together."""
    count = settings.workers
    if count == 1:
        return settings
    return settings.model_copy(
        update={
            "cache_max_bytes": settings.cache_max_bytes // count,
            "dicomweb_map_max_bytes": settings.dicomweb_map_max_bytes // count,
            "upstream_calls_per_s": settings.upstream_calls_per_s / count,
            "dicomweb_calls_per_s": settings.dicomweb_calls_per_s / count,
            "upstream_connections": max(1, settings.upstream_connections // count),
            "dicomweb_connections": max(1, settings.dicomweb_connections // count),
        }
    )
