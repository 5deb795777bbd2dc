from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from isocenter.operator.lifecycle import (
    Artifacts,
    Describe,
    Execution,
    Problem,
    Seen,
    Start,
    Started,
    decide,
)
from isocenter.operator.resources import (
    Metric,
    StepState,
    TrainingRunSpec,
    TrainingRunStatus,
)

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
TABLE = Path(__file__).parents[2] / "data/lifecycle/training_run.yaml"
CASES = yaml.safe_load(TABLE.read_text())


def spec(suspend: bool) -> TrainingRunSpec:
    return TrainingRunSpec.model_validate(
        {
            "datastoreId": "d" * 32,
            "imageSets": [{"id": "1" * 32}],
            "pipeline": {"name": "p"},
            "suspend": suspend,
        }
    )


def when(text):
    return datetime.fromisoformat(text) if text else None


def observation(observed):
    match observed:
        case {"started": started}:
            return Started(started["arn"], tuple(started["steps"]))
        case {"problem": problem}:
            return Problem(**problem)
        case {"seen": seen}:
            return Seen(
                Execution(
                    status=seen["status"],
                    created_at=when(seen.get("created")),
                    changed_at=when(seen.get("changed")),
                    failure_reason=seen.get("failure"),
                ),
                tuple(StepState.model_validate(step) for step in seen["steps"]),
                Artifacts(
                    seen.get("dataset"),
                    seen.get("model"),
                    tuple(Metric(**metric) for metric in seen.get("metrics", ())),
                ),
            )
    return None


def action_of(expected):
    match expected:
        case {"start": attempt}:
            return Start(attempt)
        case {"describe": arn}:
            return Describe(arn)
    return None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_decide(case):
    given = case["given"]
    decision = decide(
        spec(given.get("suspend", False)),
        TrainingRunStatus.model_validate(given.get("status", {})),
        observation(case.get("observed")),
        generation=3,
        at=AT,
    )
    expect = case["expect"]
    assert decision.action == action_of(expect["action"])
    dumped = decision.status.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert {name: dumped.get(name) for name in expect["status"]} == expect["status"]
    conditions = {c.type: c for c in decision.status.conditions}
    for kind, (status, reason) in expect.get("conditions", {}).items():
        assert (conditions[kind].status, conditions[kind].reason) == (status, reason)
    for kind, since in expect.get("since", {}).items():
        assert conditions[kind].last_transition_time == when(since)


def test_seeing_the_same_again_changes_nothing():
    seen = Seen(
        Execution("Executing", AT, AT, None), (StepState(name="A", status="Executing"),)
    )
    start = TrainingRunStatus(phase="Starting", execution_arn="arn:e")
    later = datetime(2026, 11, 23, 11, tzinfo=UTC)
    once = decide(spec(False), start, seen, generation=1, at=AT).status
    assert decide(spec(False), once, seen, generation=1, at=later).status == once
