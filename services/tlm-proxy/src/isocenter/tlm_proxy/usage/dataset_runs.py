"""What is kept of each run: the image sets of its dataset. Pure."""

import heapq
from collections.abc import Collection
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from isocenter.core.errors import MalformedError
from isocenter.core.validation import faults
from isocenter.tlm_proxy.usage.run_layout import Execution


class _Camel(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class _Array(_Camel):
    path: str


class _ImageSet(_Camel):
    image_set_id: str
    arrays: tuple[_Array, ...]


class DatasetUse(_Camel):
    """Of isocenter.core.dataset.DatasetManifest, the members that usage asks for.

    The rest of it (a record for each frame, up to a hundred megabytes) is read over
    without becoming objects.
    """

    schema_version: Literal[1] = Field(alias="schema")
    datastore_id: str
    image_sets: tuple[_ImageSet, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Image sets that gave the dataset an array, sorted.

        One that was asked for and omitted, wholly and by name, was not used.
        """
        return tuple(sorted({s.image_set_id for s in self.image_sets if s.arrays}))


def parse_use(body: bytes, *, source: str) -> DatasetUse:
    """Read a dataset manifest.

    Raises:
        MalformedError: naming ``source`` and the members that are wrong.
    """
    try:
        return DatasetUse.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(
            f"{source} is not a dataset manifest of schema 1: {faults(error)}"
        ) from None


class DatasetRun(NamedTuple):
    """A run whose dataset is complete.

    Attributes:
        execution: which run, attempt and execution.
        datastore_id: the data store that it read.
        image_sets: those with at least one array in the dataset.
        completed_at: when its manifest was written.
    """

    execution: Execution
    datastore_id: str
    image_sets: tuple[str, ...]
    completed_at: datetime


class RunIndex:
    """Runs by image set, of bounded size: the latest runs are kept.

    Args:
        max_image_sets: how many image sets are kept, each counted once a run.
    """

    def __init__(self, max_image_sets: int) -> None:
        self._room = max_image_sets
        self._kept: dict[Execution, DatasetRun] = {}
        self._by_age: list[tuple[datetime, Execution]] = []
        self._by_image_set: dict[tuple[str, str], set[Execution]] = {}
        self.left_out: set[Execution] = set()

    def __contains__(self, execution: Execution) -> bool:
        """Whether its manifest was added, be it kept or left out."""
        return execution in self._kept or execution in self.left_out

    def add(self, run: DatasetRun) -> None:
        """Keep a run; the oldest are left out when there is no room."""
        self._kept[run.execution] = run
        heapq.heappush(self._by_age, (run.completed_at, run.execution))
        for image_set in run.image_sets:
            key = (run.datastore_id, image_set)
            self._by_image_set.setdefault(key, set()).add(run.execution)
        self._room -= len(run.image_sets)
        while self._room < 0:
            _, oldest = heapq.heappop(self._by_age)
            if oldest in self._kept:
                self._drop(oldest)
                self.left_out.add(oldest)

    def keep_only(self, listed: Collection[Execution]) -> None:
        """Forget runs that are in S3 no more."""
        for execution in [run for run in self._kept if run not in listed]:
            self._drop(execution)
        self.left_out.intersection_update(listed)
        self._by_age = [aged for aged in self._by_age if aged[1] in self._kept]
        heapq.heapify(self._by_age)

    def using(self, datastore_id: str, image_sets: Collection[str]) -> list[DatasetRun]:
        """Runs that used any of the image sets, the latest first."""
        found: set[Execution] = set()
        for image_set in image_sets:
            found |= self._by_image_set.get((datastore_id, image_set), set())
        runs = (self._kept[execution] for execution in found)
        return sorted(
            runs, key=lambda run: (run.completed_at, run.execution), reverse=True
        )

    def _drop(self, execution: Execution) -> None:
        run = self._kept.pop(execution)
        self._room += len(run.image_sets)
        for image_set in run.image_sets:
            key = (run.datastore_id, image_set)
            self._by_image_set[key].discard(execution)
            if not self._by_image_set[key]:
                del self._by_image_set[key]
