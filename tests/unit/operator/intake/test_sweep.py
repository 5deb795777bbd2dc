import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from isocenter.operator.intake.events import parse
from isocenter.operator.intake.sweep import Sweep

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
BATCH = "20261123t100000-pod-0"
KEY = f"batches/{BATCH}.json"


@pytest.fixture
def sweep(cluster, healthimaging, objects, reactions, settings):
    return Sweep(
        cluster, healthimaging, objects, reactions, settings, clock=lambda: NOW
    )


@pytest.fixture
def once(sweep):
    return lambda: sweep.once(threading.Event())


def test_a_batch_no_event_brought(once, s3, stored, manifest):
    s3.objects[KEY] = manifest
    assert once()
    assert stored("dicomimportjobs") == [BATCH]
    reads = s3.calls.count("GetObject")
    assert once()
    assert s3.calls.count("GetObject") == reads


def test_an_old_batch_is_left_alone(once, s3, stored, manifest):
    s3.objects[KEY] = manifest
    s3.modified[KEY] = NOW - timedelta(days=2)
    assert once()
    assert stored("dicomimportjobs") == []


def test_a_broken_batch_does_not_hold_the_others(once, s3, stored, manifest):
    s3.objects["batches/0.json"] = b"{}"
    s3.objects[KEY] = manifest
    assert not once()
    assert stored("dicomimportjobs") == [BATCH]


def test_a_huge_batch_does_not_hold_the_others(once, s3, stored, manifest, monkeypatch):
    monkeypatch.setattr("isocenter.operator.objects._LONGEST_DOCUMENT", len(manifest))
    s3.objects["batches/0.json"] = b" " + manifest
    s3.objects[KEY] = manifest
    assert not once()
    assert stored("dicomimportjobs") == [BATCH]


def test_a_failure_nobody_foresaw_does_not_hold_the_others(
    once, s3, stored, manifest, reactions, healthimaging_api, add_trigger, caplog
):
    s3.objects["batches/0.json"] = s3.objects[KEY] = manifest
    for number in range(2):
        healthimaging_api.add(str(number) * 32)
    add_trigger()
    take_in, run_for = reactions.import_batch, reactions.run_for

    def import_batch(bucket, key, *rest, **more):
        if key != KEY:
            raise KeyError("a bug")
        take_in(bucket, key, *rest, **more)

    def run_of_one(trigger, kind, state, *rest, **more):
        if state.image_set_id == "0" * 32:
            raise KeyError("a bug")
        return run_for(trigger, kind, state, *rest, **more)

    reactions.import_batch, reactions.run_for = import_batch, run_of_one
    assert not once()
    assert stored("dicomimportjobs") == [BATCH]
    assert stored("trainingruns") == [f"t-{'1' * 32}-v1"]
    assert caplog.text.count("KeyError: 'a bug'") == 2


def test_image_sets_no_event_brought(once, healthimaging_api, stored, add_trigger):
    add_trigger()
    for number in range(4):
        healthimaging_api.add(str(number) * 32)
    assert once()
    assert len(stored("trainingruns")) == 4
    asked = healthimaging_api.calls.count("GetImageSet")
    assert once()
    assert healthimaging_api.calls.count("GetImageSet") == asked


def test_sweep_and_event_make_the_same_run(
    once, healthimaging_api, stored, add_trigger, reactions, image_set_event
):
    healthimaging_api.add("1" * 32)
    add_trigger()
    event = parse(json.dumps(image_set_event("1" * 32)), batches_prefix="batches/")
    reactions.react(event, reactions.triggers)
    before = dict(stored("trainingruns", f"t-{'1' * 32}-v1")["metadata"])
    once()
    assert stored("trainingruns") == [f"t-{'1' * 32}-v1"]
    assert stored("trainingruns", f"t-{'1' * 32}-v1")["metadata"] == before


def test_only_what_changed_since_the_trigger_was_made(
    once, healthimaging_api, stored, add_trigger
):
    add_trigger()  # at 09:00
    healthimaging_api.add("1" * 32, updatedAt=datetime(2026, 11, 23, 8, 59, tzinfo=UTC))
    healthimaging_api.add("2" * 32, updatedAt=datetime(2026, 11, 23, 9, 1, tzinfo=UTC))
    once()
    assert stored("trainingruns") == [f"t-{'2' * 32}-v1"]


@pytest.mark.parametrize(
    ("image_set", "spec"),
    [
        ({"isPrimary": False}, {}),
        ({"imageSetState": "LOCKED"}, {}),
        ({"imageSetState": "DELETED"}, {}),
        ({}, {"suspend": True}),
        ({"imageSetWorkflowStatus": "UPDATED"}, {"events": ["Created"]}),
    ],
)
def test_what_makes_no_run(
    once, healthimaging_api, stored, add_trigger, image_set, spec
):
    healthimaging_api.add("1" * 32, **image_set)
    add_trigger(**spec)
    assert once()
    assert stored("trainingruns") == []


def test_what_was_decided_against_is_not_asked_again(
    once, healthimaging_api, s3, stored, add_trigger
):
    healthimaging_api.add("1" * 32)
    add_trigger()
    s3.objects[f"runs/imaging/t-{'1' * 32}-v1/attempt-1/request.json"] = b"{}"
    once()
    once()
    assert stored("trainingruns") == []
    assert healthimaging_api.calls.count("GetImageSet") == 1


def test_a_service_that_does_not_answer_fails_the_sweep_only(
    once, healthimaging_api, stored, add_trigger, s3, manifest
):
    s3.objects[KEY] = manifest
    add_trigger()
    healthimaging_api.add("1" * 32)
    healthimaging_api.fail("SearchImageSets", "InternalServerException", status=500)
    assert not once()
    assert stored("dicomimportjobs") == [BATCH]
    assert once()
    assert len(stored("trainingruns")) == 1


def test_the_loop_goes_on_after_a_failure(sweep):
    stop = threading.Event()
    outcomes = [RuntimeError("bug"), True]

    def once(_):
        outcome = outcomes.pop(0)
        if not outcomes:
            stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    sweep.once = once
    wait = stop.wait
    stop.wait = lambda timeout=None: wait(0)
    sweep.run(stop)
    assert outcomes == []
