from datetime import UTC, datetime

from kubernetes.client.exceptions import ApiException

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
CONFLICT = ApiException(status=409, reason="Conflict")


def test_counts_add_up(tally, add_trigger, stored):
    add_trigger()
    for _ in range(2):
        tally.seen("t", NOW)
        tally.created("t")
        tally.seen("t", NOW)
        tally.skipped("t", "NonPrimary")
        tally.flush()
    assert stored("trainingtriggers", "t")["status"] == {
        "eventsSeen": 4,
        "runsCreated": 2,
        "skipped": {"NonPrimary": 2},
        "lastEventTime": "2026-11-23T10:00:00Z",
    }


def test_two_processes_add_at_the_same_time(tally, add_trigger, stored, api):
    add_trigger()
    tally.created("t")
    read = api.get_namespaced_custom_object

    def read_then_changed(**p):
        body = read(**p)
        api.get_namespaced_custom_object = read
        api.patch_namespaced_custom_object_status(
            **p,
            body={
                "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
                "status": {"runsCreated": 5},
            },
        )
        return body

    api.get_namespaced_custom_object = read_then_changed
    tally.flush()
    assert stored("trainingtriggers", "t")["status"]["runsCreated"] == 6


def test_what_can_not_be_written_now_is_kept(tally, add_trigger, stored, api):
    add_trigger()
    tally.skipped("t", "Suspended")
    api.failures = [ApiException(status=500, reason="broken")]
    tally.flush()
    tally.skipped("t", "Suspended")
    tally.flush()
    assert stored("trainingtriggers", "t")["status"]["skipped"] == {"Suspended": 2}


def test_a_trigger_that_is_gone_needs_no_counts(tally, api):
    tally.created("t")
    tally.flush()
    tally.flush()
    assert api.objects == {}
