from datetime import UTC, datetime

from isocenter.operator.reconciling import Next
from isocenter.operator.training_triggers import TrainingTriggers

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_active_follows_suspend(trigger_body, merged):
    body = trigger_body()
    body["metadata"] |= {"namespace": "imaging", "uid": "u", "generation": 1}
    body["status"] = {"eventsSeen": 4}
    result = TrainingTriggers().reconcile(body, NOW)
    (active,) = result.patch["conditions"]
    assert (active["status"], active["reason"]) == ("True", "Watching")
    assert "eventsSeen" not in result.patch
    assert result.after is Next.SETTLED
    body = merged(body, result.patch)
    assert TrainingTriggers().reconcile(body, NOW).patch == {}
    body["spec"]["suspend"] = True
    body["metadata"]["generation"] = 2
    result = TrainingTriggers().reconcile(body, NOW)
    assert result.patch["conditions"][0]["reason"] == "Suspended"
    assert result.patch["observedGeneration"] == 2
