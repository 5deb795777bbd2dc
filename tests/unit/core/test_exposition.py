import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from isocenter.core.exposition import WorkersCollector, readiness


def exposed(value):
    registry = CollectorRegistry()
    Counter("stores_total", "Responses.", ["status"], registry=registry).labels(
        "0000"
    ).inc(value)
    return generate_latest(registry).decode()


def test_each_worker_has_its_own_series():
    registry = CollectorRegistry()
    registry.register(WorkersCollector(lambda: [(0, exposed(3)), (2, exposed(4))]))
    text = generate_latest(registry).decode()
    assert 'stores_total{status="0000",worker="0"} 3.0' in text
    assert 'stores_total{status="0000",worker="2"} 4.0' in text
    assert text.count("# TYPE stores_total counter") == 1


@pytest.mark.parametrize(
    ("problems", "found"),
    [
        ([], "starting"),
        ([(0, "")], None),
        ([(0, "volume full"), (1, "")], None),
        ([(0, "starting"), (1, "volume full")], "volume full"),
    ],
)
def test_ready_is_who_has_one_ready_worker(problems, found):
    assert readiness(problems) == found


def test_a_parent_exposes_its_workers_alone():
    """In a process of its own: the registry is the process's."""
    program = (
        "from prometheus_client import generate_latest\n"
        "from isocenter.core.exposition import expose_workers\n"
        "mine = generate_latest().decode()\n"
        "assert 'process_cpu_seconds_total' in mine, mine\n"
        "expose_workers(lambda: [(number, mine) for number in (0, 1)])\n"
        "print(generate_latest().decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = [x for x in lines if x.startswith("process_cpu_seconds_total")]
    assert [line.split()[0] for line in found] == [
        f'process_cpu_seconds_total{{worker="{number}"}}' for number in "01"
    ]
