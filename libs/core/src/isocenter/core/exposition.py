"""Metrics and readiness of several worker processes, as those of one process."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Answers = Iterable[tuple[int, str]]
"""The number of each worker that answered, and what."""


class WorkersCollector(Collector):
    """The workers' metrics, each series with the label ``worker``.

    A series a worker, not a sum: a worker that begins anew begins at zero, which
    Prometheus sees as what it is only in a series of its own.

    Args:
        ask: asks each worker for its metrics, in Prometheus's text format.
    """

    def __init__(self, ask: Callable[[], Answers]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        """Ask each worker; one that doesn't answer is left out."""
        families: dict[str, Metric] = {}
        for number, text in self._ask():
            for family in text_string_to_metric_families(text):
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    kept.add_sample(sample.name, labels, sample.value)
        yield from families.values()


def expose_workers(ask: Callable[[], Answers]) -> None:
    """Let this process expose its workers' metrics in place of its own.

    Args:
        ask: asks each worker for its metrics, in Prometheus's text format.
    """
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        # Each worker has its own; a family must not be there twice.
        REGISTRY.unregister(collector)
    REGISTRY.register(WorkersCollector(ask))


def readiness(problems: Answers) -> str | None:
    """Why none of the workers can do its work now; None if one can.

    Args:
        problems: what each says it can't work for; empty if it can.
    """
    found = "starting"
    for _, problem in problems:
        if not problem:
            return None
        found = problem
    return found
