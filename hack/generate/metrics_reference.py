"""docs/reference/metrics.md: every metric of every process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HEAD = """# Metrics

Made by `make generate` from the processes' own registries; don't edit.

Each process answers Prometheus's text format at `/metrics` of its health port
(`health_port`, 8081). Beside the metrics below each has those of Python's client
library: `process_*` (CPU, memory, open files), `python_gc_*` and `python_info`. No
label is ever about a patient. A counter or histogram with labels has no series before
the first event; see [monitoring](#how-to-use-them).

## How to use them

`monitoring.enabled=true` in the chart's values makes a PodMonitor, and on request
alerts (PrometheusRule) and Grafana dashboards; nothing of it needs more than the
Prometheus operator's definitions. A first event of a labelled counter brings its
series into being with the value 1, in which `increase()` sees no step: the chart's
alerts therefore also ask for series that were not there before.
"""


@dataclass(frozen=True)
class Exposed:
    """A metric as it is exposed.

    Attributes:
        name: without the suffixes of histograms, with the one of counters.
        labels: its own, without those that scraping adds.
    """

    name: str
    type: str
    help: str
    labels: tuple[str, ...]

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """Names of its series, and the labels of each."""
        own = frozenset(self.labels)
        if self.type != "histogram":
            return {self.name: own}
        return {
            f"{self.name}_bucket": own | {"le"},
            f"{self.name}_count": own,
            f"{self.name}_sum": own,
        }


SOURCES = {
    "storescp": "isocenter.storescp.metrics",
    "tlm-proxy": "isocenter.tlm_proxy.metrics:Metrics",
    "fetcher": "isocenter.fetcher.metrics",
    "operator": "isocenter.operator.metrics",
    "intake": "isocenter.operator.intake.metrics",
}
"""Where each process keeps its metrics."""
WORKERS = frozenset({"storescp", "tlm-proxy"})
"""Whose series have a label ``worker`` where there are several."""


@cache
def metrics_of(process: str) -> tuple[Exposed, ...]:
    """The metrics of one process."""
    printed = subprocess.run(
        [sys.executable, "-m", "generate.metrics_of_process", SOURCES[process]],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    ).stdout
    return tuple(
        Exposed(
            name=row["name"] + ("_total" if row["type"] == "counter" else ""),
            type=row["type"],
            help=row["help"],
            labels=tuple(row["labels"]),
        )
        for row in json.loads(printed)
    )


def metrics_reference() -> str:
    """The page's text."""
    return HEAD + "".join(map(_section, SOURCES))


def _section(process: str) -> str:
    lines = [f"\n## {process}\n"]
    if process in WORKERS:
        lines.append("With more than one worker each series has a label `worker`.\n")
    lines += ["| metric | type | labels | what it is |", "|---|---|---|---|"]
    for metric in metrics_of(process):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
