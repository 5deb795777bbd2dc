"""What a benchmark says in the end; what it measures is not tested here."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HELD, MISSED, UNKNOWN = 1.0, 3.0, None

RUNS = [
    # figures of each scenario against a bar of 2 (None: it fails), the exit code
    ([[HELD]], 0),
    ([[HELD], [HELD, UNKNOWN]], 0),
    ([[HELD], [MISSED]], 1),
    ([None, [HELD]], 1),
    ([[MISSED], None], 1),
]


@pytest.mark.parametrize(("scenarios", "code"), RUNS)
def test_all_scenarios_are_told_and_one_that_fails_fails_the_run(
    scenarios, code, monkeypatch, tmp_path, capsys
):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.measured import Measured  # noqa: PLC0415 - not on pytest's path
    from bench.proxy.bars import Bar  # noqa: PLC0415 - not on pytest's path
    from bench.proxy.processes import BenchError  # noqa: PLC0415 - not on pytest's path

    measured = Measured()

    def run(figures):
        if figures is None:
            raise BenchError("wrk is not there")
        return [Bar("latency", each, "<=", 2, "ms") for each in figures]

    for number, figures in enumerate(scenarios):
        measured.add(f"scenario{number}", lambda figures=figures: run(figures))
    file = tmp_path / "bars.json"
    assert measured.tell(file) == code
    told = [each for figures in scenarios for each in figures or ()]
    assert [bar["figure"] for bar in json.loads(file.read_text())["bars"]] == told
    printed = capsys.readouterr()
    assert ("NOT HELD" in printed.out) == (MISSED in told)
    assert ("wrk is not there" in printed.err) == (None in scenarios)
