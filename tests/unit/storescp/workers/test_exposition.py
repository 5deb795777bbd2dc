import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from isocenter.storescp.workers.exposition import WorkersCollector, readiness


def exposed(value):
    registry = CollectorRegistry()
    Counter("stores_total", "Responses.", ["status"], registry=registry).labels(
        "0000"
    ).inc(value)
    return generate_latest(registry).decode()


def test_each_worker_has_its_own_series():
    registry = CollectorRegistry()
    registry.register(WorkersCollector(lambda _: [(0, exposed(3)), (2, exposed(4))]))
    text = generate_latest(registry).decode()
    assert 'stores_total{status="0000",worker="0"} 3.0' in text
    assert 'stores_total{status="0000",worker="2"} 4.0' in text
    assert text.count("# TYPE stores_total counter") == 1


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([], "starting"),
        ([(0, "")], None),
        ([(0, "volume full"), (1, "")], None),
        ([(0, "starting"), (1, "volume full")], "volume full"),
    ],
)
def test_ready_is_who_has_one_ready_worker(answers, problem):
    assert readiness(lambda _: answers) == problem
