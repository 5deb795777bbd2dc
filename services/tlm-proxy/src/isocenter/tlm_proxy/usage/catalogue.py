"""Runs of the datasets in S3, looked at again when somebody asks."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from isocenter.core.dataset import MANIFEST_NAME
from isocenter.core.errors import AwsError, MalformedError
from isocenter.tlm_proxy.errors import RunsUnreadableError
from isocenter.tlm_proxy.usage.dataset_runs import DatasetRun, RunIndex, parse_use
from isocenter.tlm_proxy.usage.objects import READERS
from isocenter.tlm_proxy.usage.run_layout import DATASET, Execution, executions

T = TypeVar("T")

log = logging.getLogger(__name__)

_FAILED_PAUSE_S = 5.0
_FIRST_PAUSE_S = 15.0
_LONGEST_PAUSE_S = 3600.0


class Objects(Protocol):
    """What is needed of S3; usage.objects.RunObjects."""

    def names(self) -> Iterator[str]:
        """Names below the prefix of runs, each dataset's folder as one."""

    def find(self, name: str, parse: Callable[[bytes], T]) -> tuple[T, datetime] | None:
        """What an object parses to and when it was written; None without one."""

    def uri(self, name: str) -> str:
        """The ``s3://`` URI of a name."""


class UsingRun(NamedTuple):
    """A run that used some of the image sets asked for."""

    run: DatasetRun
    image_sets: tuple[str, ...]
    dataset_s3_uri: str
    model_s3_uri: str | None


@dataclass(frozen=True)
class Usage:
    """Runs that used some image sets.

    Attributes:
        runs: the latest first.
        complete: False when manifests could not be read, or runs were left out for
            lack of room.
        as_of: when S3 was listed.
    """

    runs: tuple[UsingRun, ...]
    complete: bool
    as_of: datetime


@dataclass
class _Retry:
    """A dataset whose manifest could not be had; asked again, ever more seldom."""

    at: float
    pause: float
    failed: bool


class RunCatalogue:
    """Which runs used which image sets.

    There is no index to keep: S3 is listed when somebody asks and the last listing
    is older than ``refresh_s``; each manifest is read once, for it never changes.

    Args:
        objects: the runs in S3.
        refresh_s: seconds between two listings, at least.
        max_image_sets: the bound of memory, see RunIndex.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        refresh_s: float,
        max_image_sets: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._refresh_s = refresh_s
        self._clock = clock
        self._index = RunIndex(max_image_sets)
        self._models: dict[Execution, str | None] = {}
        self._retries: dict[Execution, _Retry] = {}
        self._unreadable: set[Execution] = set()
        self._next_at = float("-inf")
        self._problem = "the runs were not listed yet"
        self._as_of: datetime | None = None
        self._flight: asyncio.Task[None] | None = None

    async def using(self, datastore_id: str, image_sets: Collection[str]) -> Usage:
        """Runs that used any of the image sets.

        While S3 can't be listed, the last listing answers; ``as_of`` tells.

        Raises:
            RunsUnreadableError: S3 can't be listed, and was not before.
        """
        await self._refresh()
        if self._as_of is None:
            raise RunsUnreadableError(self._problem)
        return Usage(
            tuple(
                UsingRun(
                    run,
                    tuple(sorted(set(image_sets).intersection(run.image_sets))),
                    self._objects.uri(f"{run.execution.folder}{DATASET}"),
                    self._model(run.execution),
                )
                for run in self._index.using(datastore_id, image_sets)
            ),
            complete=not (
                self._index.left_out
                or self._unreadable
                or any(retry.failed for retry in self._retries.values())
            ),
            as_of=self._as_of,
        )

    def _model(self, execution: Execution) -> str | None:
        name = self._models.get(execution)
        return None if name is None else self._objects.uri(name)

    async def _refresh(self) -> None:
        """List again, if it is time; everybody waits for one listing."""
        if self._flight is None:
            if self._clock() < self._next_at:
                return
            self._flight = asyncio.create_task(self._try())
        # Shielded: a client that goes away must not stop the others' listing.
        await asyncio.shield(self._flight)

    async def _try(self) -> None:
        started = self._clock()
        try:
            await self._look()
        except AwsError as error:
            self._problem = str(error)
            self._next_at = started + min(self._refresh_s, _FAILED_PAUSE_S)
            log.warning("the runs can't be listed", extra={"error": str(error)})
        else:
            self._next_at = started + self._refresh_s
        finally:
            self._flight = None

    async def _look(self) -> None:
        """One listing, and the manifests that are new in it."""
        now, as_of = self._clock(), datetime.now(UTC)
        self._models = await asyncio.to_thread(
            lambda: executions(self._objects.names())
        )
        self._index.keep_only(self._models)
        self._unreadable.intersection_update(self._models)
        for gone in self._retries.keys() - self._models.keys():
            del self._retries[gone]
        wanted = [found for found in self._models if self._is_wanted(found, now)]
        gate = asyncio.Semaphore(READERS)

        async def one(execution: Execution) -> None:
            async with gate:
                await self._read(execution)

        async with asyncio.TaskGroup() as group:
            for execution in wanted:
                group.create_task(one(execution))
        self._as_of = as_of

    def _is_wanted(self, execution: Execution, now: float) -> bool:
        if execution in self._index or execution in self._unreadable:
            return False
        retry = self._retries.get(execution)
        return retry is None or retry.at <= now

    async def _read(self, execution: Execution) -> None:
        """Add a dataset's manifest; one that is not there yet is asked for later."""
        name = f"{execution.folder}{DATASET}{MANIFEST_NAME}"
        try:
            run = await asyncio.to_thread(self._parse, execution, name)
        except AwsError as error:
            log.warning(
                "a dataset's manifest can't be read", extra={"error": str(error)}
            )
            self._put_off(execution, failed=True)
        except MalformedError as error:
            log.warning("a dataset's manifest is passed over: %s", error)
            self._unreadable.add(execution)
            self._retries.pop(execution, None)
        else:
            if run is None:
                self._put_off(execution, failed=False)
                return
            self._index.add(run)
            self._retries.pop(execution, None)

    def _parse(self, execution: Execution, name: str) -> DatasetRun | None:
        source = self._objects.uri(name)
        found = self._objects.find(name, lambda body: parse_use(body, source=source))
        if found is None:
            return None
        use, written_at = found
        return DatasetRun(execution, use.datastore_id, use.used, written_at)

    def _put_off(self, execution: Execution, *, failed: bool) -> None:
        before = self._retries.get(execution)
        pause = min(before.pause * 2, _LONGEST_PAUSE_S) if before else _FIRST_PAUSE_S
        self._retries[execution] = _Retry(self._clock() + pause, pause, failed)
