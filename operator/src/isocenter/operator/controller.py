"""When each resource is looked at: on change, and again until it is settled.

kopf's own timers and change handlers are not used: timers put a finalizer on
every resource, so that nothing could be deleted without a living operator, and
change handlers keep their state in annotations. Here a watch event only marks a
resource as due; looks at it follow one another, never overlap, and start from
what the API server last said. A status is patched at the resource version it was
derived from: who looked at something stale is refused, reads, and looks again.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from isocenter.operator import metrics
from isocenter.operator.errors import ClusterError, ConflictError, GoneError
from isocenter.operator.reconciling import Next, Reconciler, now
from isocenter.operator.resources import HINT_ANNOTATION, PLURALS

log = logging.getLogger(__name__)

_NEVER = float("inf")
_AFTER_CONFLICT_S = 1.0
_TICK_S = 1.0
_LOG_FIELDS = {
    "trainingruns": "training_run",
    "trainingtriggers": "trigger",
    "dicomimportjobs": "import_job",
}
_KINDS = {plural: kind for kind, plural in PLURALS.items()}


class Statuses(Protocol):
    """Where statuses are stored, and resources read again."""

    def patch_status(
        self,
        plural: str,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str,
    ) -> dict[str, Any]:
        """Merge into the status; see ``cluster.Cluster``."""

    def resource(self, plural: str, name: str) -> dict[str, Any]:
        """Read one resource; see ``cluster.Cluster``."""


@dataclass
class _Tracked:
    """A resource; ``body`` is empty while it is settled.

    Finished resources stay in the cluster for as long as somebody wants them: only
    what is due to be looked at may cost as much memory as its content.
    """

    plural: str
    name: str
    uid: str
    created: str
    body: Mapping[str, Any] = field(default_factory=dict)
    cause: tuple[Any, ...] | None = None
    due: float = _NEVER
    busy: bool = False
    failures: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing is done about it, nor will be before it changes."""
        return not self.busy and self.due == _NEVER


class Controller:
    """Looks at resources, each when it is due.

    ``notice`` and ``run`` belong to one event loop; looks run in threads.
    """

    def __init__(
        self,
        reconcilers: Mapping[str, Reconciler],
        statuses: Statuses,
        *,
        poll_interval_s: float,
        max_backoff_s: float,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reconcilers = reconcilers
        self._statuses = statuses
        self._poll_interval_s = poll_interval_s
        self._max_backoff_s = max_backoff_s
        self._workers = workers
        self._clock = clock
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="look")
        self._tracked: dict[str, _Tracked] = {}
        self._wake = asyncio.Event()
        self.last_tick = clock()

    def notice(self, plural: str, event: str | None, body: Mapping[str, Any]) -> None:
        """Take in a watch event.

        Only a new resource, a new generation and a new hint make a resource due;
        other changes, such as those of its status, are just remembered while it is
        not settled.
        """
        meta = body["metadata"]
        if event == "DELETED":
            self._tracked.pop(meta["uid"], None)
            return
        tracked = self._tracked.setdefault(
            meta["uid"],
            _Tracked(
                plural,
                name=str(meta["name"]),
                uid=str(meta["uid"]),
                created=str(meta.get("creationTimestamp", "")),
            ),
        )
        hint = (meta.get("annotations") or {}).get(HINT_ANNOTATION)
        cause = (meta.get("generation"), hint)
        if tracked.cause != cause:
            tracked.cause = cause
            tracked.due = self._clock()
            self._wake.set()
        if not tracked.settled:
            tracked.body = body

    async def run(self) -> None:
        """Look at what is due, oldest resource first, until cancelled."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self.last_tick = self._clock()
                for tracked in self._due()[: self._workers - len(running)]:
                    tracked.busy, tracked.due = True, _NEVER
                    task = asyncio.create_task(self._look(tracked))
                    running.add(task)
                    task.add_done_callback(running.discard)
                self._count()
                await self._pause()
        finally:
            # A look that has begun is let finish: its status is worth storing.
            await asyncio.gather(*running, return_exceptions=True)

    def close(self) -> None:
        """Give the threads back."""
        self._pool.shutdown(wait=True)

    def _due(self) -> list[_Tracked]:
        at = self._clock()
        due = [t for t in self._tracked.values() if not t.busy and t.due <= at]
        return sorted(due, key=lambda t: t.created)

    async def _pause(self) -> None:
        # Not wait_for: Python 3.11's swallows a cancellation that comes together
        # with the wake-up, and the process would not end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._wake.wait()
        self._wake.clear()

    async def _look(self, tracked: _Tracked) -> None:
        loop = asyncio.get_running_loop()
        try:
            delay = await loop.run_in_executor(self._pool, self._once, tracked)
        except GoneError:
            # A watch that had to begin anew says nothing of what was deleted before.
            self._tracked.pop(tracked.uid, None)
        else:
            tracked.due = min(tracked.due, self._clock() + delay)
        finally:
            tracked.busy = False
            if tracked.settled:
                tracked.body = {}
            self._wake.set()

    def _once(self, tracked: _Tracked) -> float:
        """One look, in a thread; answers the seconds until the next.

        Raises:
            GoneError: the resource is not there any more.
        """
        kind = _KINDS[tracked.plural]
        body = tracked.body
        about = {
            _LOG_FIELDS[tracked.plural]: tracked.name,
            "namespace": body["metadata"]["namespace"],
        }
        with metrics.LOOK_SECONDS.labels(kind).time():
            try:
                after = self._reconcile(tracked, body, about)
            except GoneError:
                raise
            except ConflictError:
                metrics.LOOKS.labels(kind, "conflict").inc()
                self._read_again(tracked, body)
                return _AFTER_CONFLICT_S
            except Exception:
                metrics.LOOKS.labels(kind, "error").inc()
                log.exception("a look failed; it will be repeated", extra=about)
                after = Next.BACK_OFF
            else:
                metrics.LOOKS.labels(kind, "ok").inc()
        return self._delay(tracked, after)

    def _read_again(self, tracked: _Tracked, stale: Mapping[str, Any]) -> None:
        """After a conflict: the watch may be late, or have missed a deletion.

        Raises:
            GoneError: the resource is not there; another of its name may be.
        """
        try:
            fresh = self._statuses.resource(tracked.plural, tracked.name)
        except GoneError:
            raise
        except ClusterError:
            return
        if fresh["metadata"]["uid"] != tracked.uid:
            raise GoneError(f"{tracked.plural} {tracked.name} was made anew")
        if tracked.body is stale:
            tracked.body = fresh

    def _reconcile(
        self, tracked: _Tracked, body: Mapping[str, Any], about: dict[str, str]
    ) -> Next:
        result = self._reconcilers[tracked.plural].reconcile(body, now())
        if not result.patch:
            return result.after
        patched = self._statuses.patch_status(
            tracked.plural,
            tracked.name,
            result.patch,
            resource_version=str(body["metadata"]["resourceVersion"]),
        )
        # Unless the watch was faster: what it brought is at least as new.
        if tracked.body is body:
            tracked.body = patched
        before = (body.get("status") or {}).get("phase")
        if result.phase is not None and result.phase != before:
            metrics.PHASE_CHANGES.labels(_KINDS[tracked.plural], result.phase).inc()
            log.info("phase changed", extra={**about, "status": result.phase})
        return result.after

    def _delay(self, tracked: _Tracked, after: Next) -> float:
        if after is not Next.BACK_OFF:
            tracked.failures = 0
            return _NEVER if after is Next.SETTLED else self._poll_interval_s
        delay = min(self._poll_interval_s * 2.0**tracked.failures, self._max_backoff_s)
        tracked.failures = min(tracked.failures + 1, 16)
        # Spread out: what was refused together should not come back together.
        return delay * random.uniform(0.75, 1.25)  # noqa: S311 - not cryptography

    def _count(self) -> None:
        waiting = Counter(
            _KINDS[t.plural] for t in self._tracked.values() if t.busy or t.due < _NEVER
        )
        for kind in PLURALS:
            metrics.TRACKED.labels(kind).set(waiting[kind])
