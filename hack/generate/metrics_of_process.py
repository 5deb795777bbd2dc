"""`python -m generate.metrics_of_process MODULE[:CLASS]`: its metrics as JSON.

A process each, because prometheus_client's registry is the process's: imported side
by side, the metrics of all processes would be in it.
"""

import importlib
import json
import sys
from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


def main(where: str) -> None:
    """Import a metrics module, make its class if one is named, print what it has."""
    registered: list[Collector] = []
    register = REGISTRY.register

    def note(collector: Collector) -> None:
        registered.append(collector)
        register(collector)

    REGISTRY.register = note  # type: ignore[method-assign]  # to see who comes
    module, _, name = where.partition(":")
    found = importlib.import_module(module)
    if name:
        getattr(found, name)(REGISTRY)
    rows = [row for collector in registered for row in _rows(collector)]
    print(json.dumps(sorted(rows, key=lambda row: row["name"])))


def _rows(collector: Collector) -> Iterable[dict[str, object]]:
    """Name without suffix, type, labels and help of each metric of a collector."""
    own = getattr(collector, "_labelnames", None)
    describe = getattr(collector, "describe", collector.collect)
    for family in describe():
        yield {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "labels": list(_labels(family) if own is None else own),
        }


def _labels(family: Metric) -> Iterable[str]:
    # The client library keeps label names to itself: no public way leads to them.
    return getattr(family, "_labelnames", ())


if __name__ == "__main__":
    main(sys.argv[1])
