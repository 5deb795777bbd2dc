"""The objects of runs in S3, by their keys (ARCHITECTURE.md, Contracts, S3).

``<namespace>/<name>/attempt-<n>/<execution id>/dataset/…`` and ``…/model/…``, all
below one prefix.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

DATASET = "/dataset/"
"""What ends a dataset's folder; given to ListObjectsV2 as its delimiter."""
_EXECUTION = re.compile(
    r"(?P<namespace>[^/]+)/(?P<name>[^/]+)/attempt-(?P<attempt>[1-9][0-9]{0,8})"
    r"/(?P<execution>[^/]+)(?P<rest>/.+)"
)
_MODEL = re.compile(r"/model/.+/model\.tar\.gz")


class Execution(NamedTuple):
    """One execution of one attempt of a TrainingRun."""

    namespace: str
    name: str
    attempt: int
    execution: str

    @property
    def folder(self) -> str:
        """Where it writes, below the prefix of runs."""
        return f"{self.namespace}/{self.name}/attempt-{self.attempt}/{self.execution}"


def executions(names: Iterable[str]) -> dict[Execution, str | None]:
    """Executions that began a dataset, each with the name of its model, if any.

    Args:
        names: keys, and common prefixes up to ``DATASET``, below the prefix of
            runs. What is not of this layout is passed over.
    """
    with_dataset: list[Execution] = []
    models: dict[Execution, str] = {}
    for name in names:
        match = _EXECUTION.fullmatch(name)
        if match is None:
            continue
        found = Execution(
            match["namespace"], match["name"], int(match["attempt"]), match["execution"]
        )
        if match["rest"].startswith(DATASET):
            with_dataset.append(found)
        elif _MODEL.fullmatch(match["rest"]):
            models[found] = name
    return {found: models.get(found) for found in with_dataset}
