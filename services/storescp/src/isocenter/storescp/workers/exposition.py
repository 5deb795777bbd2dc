"""Metrics and readiness of all workers, as those of one process."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Ask = Callable[[str], Iterable[tuple[int, str]]]
"""Asks every worker something; answers the number and the answer of each that spoke."""


class WorkersCollector(Collector):
    """The workers' metrics, each series with the label ``worker``.

    A series a worker, not a sum: a worker that begins anew begins at zero, which
    Prometheus sees as what it is only in a series of its own.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        """Ask each worker; one that doesn't answer is left out."""
        families: dict[str, Metric] = {}
        for number, text in self._ask("metrics"):
            for family in text_string_to_metric_families(text):
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    kept.add_sample(sample.name, labels, sample.value)
        yield from families.values()


def readiness(ask: Ask) -> str | None:
    """Why none of the workers can do its work now; None if one can."""
    problem = "starting"
    for _, answer in ask("ready"):
        if not answer:
            return None
        problem = answer
    return problem
