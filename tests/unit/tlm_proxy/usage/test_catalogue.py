import asyncio
import threading

import pytest

from isocenter.core.errors import DeniedError, UnavailableError
from isocenter.tlm_proxy.errors import RunsUnreadableError
from isocenter.tlm_proxy.usage.catalogue import RunCatalogue

ONE, TWO, THREE = (f"{n:032d}" for n in (1, 2, 3))
STORE = "d" * 32


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def catalogue(objects, clock):
    return RunCatalogue(objects, refresh_s=30, max_image_sets=100, clock=clock)


def ask(catalogue, *image_sets):
    return asyncio.run(catalogue.using(STORE, image_sets))


def names(usage):
    return [using.run.execution.name for using in usage.runs]


def test_a_run_with_its_dataset_and_model(catalogue, objects):
    objects.run("a", [ONE, TWO], model=True, omitted=[THREE])
    (using,) = ask(catalogue, ONE, THREE).runs
    assert using.image_sets == (ONE,)
    folder = "s3://a-bucket/runs/ns/a/attempt-1/e1"
    assert using.dataset_s3_uri == f"{folder}/dataset/"
    assert using.model_s3_uri == f"{folder}/model/job/output/model.tar.gz"


def test_image_sets_that_are_omitted_by_name_are_not_used(catalogue, objects):
    objects.run("a", [ONE], omitted=[TWO])
    usage = ask(catalogue, TWO)
    assert (usage.runs, usage.complete) == ((), True)


def test_manifests_are_read_once_and_listings_wait(catalogue, objects, clock):
    key = objects.run("a", [ONE])
    assert names(ask(catalogue, ONE)) == ["a"]
    objects.run("b", [ONE], hours=1)
    clock.now += 29
    assert names(ask(catalogue, ONE)) == ["a"]
    clock.now += 2
    assert names(ask(catalogue, ONE)) == ["b", "a"]
    assert objects.listings == 2
    assert objects.reads.count(key) == 1


def test_a_model_that_comes_later_is_seen(catalogue, objects, clock):
    objects.run("a", [ONE])
    assert ask(catalogue, ONE).runs[0].model_s3_uri is None
    objects.run("a", [ONE], model=True)
    clock.now += 31
    assert ask(catalogue, ONE).runs[0].model_s3_uri is not None


def test_many_at_once_cause_one_listing(catalogue, objects):
    objects.run("a", [ONE])
    objects.gate = threading.Event()

    async def many():
        asks = [asyncio.ensure_future(catalogue.using(STORE, [ONE])) for _ in range(20)]
        await asyncio.sleep(0.05)
        asks[0].cancel()
        await asyncio.sleep(0)
        objects.gate.set()
        return await asyncio.gather(*asks, return_exceptions=True)

    first, *others = asyncio.run(many())
    assert isinstance(first, asyncio.CancelledError)
    assert all(names(usage) == ["a"] for usage in others)
    assert (objects.listings, len(objects.reads)) == (1, 1)


def test_a_dataset_without_a_manifest_is_asked_for_ever_more_seldom(
    catalogue, objects, clock
):
    objects.stored["ns/a/attempt-1/e1/dataset/1.npy"] = None
    for _ in range(60):
        clock.now += 31
        assert ask(catalogue, ONE).complete
    assert 5 < len(objects.reads) < 10
    objects.run("a", [ONE])
    clock.now += 3601
    assert names(ask(catalogue, ONE)) == ["a"]


def test_an_unreadable_manifest_hides_no_other_run(catalogue, objects, clock, caplog):
    objects.run("good", [ONE])
    bad = "ns/bad/attempt-1/e1/dataset/manifest.json"
    objects.put(bad, {"schema": 1, "patientName": "SECRET"})
    for _ in range(3):
        usage = ask(catalogue, ONE)
        assert (names(usage), usage.complete) == (["good"], False)
        clock.now += 31
    assert objects.reads.count(bad) == 1
    assert bad in caplog.text
    assert "SECRET" not in caplog.text


def test_a_manifest_that_is_refused_once_is_read_later(catalogue, objects, clock):
    key = objects.run("a", [ONE])
    objects.read_failures[key] = UnavailableError("slow down")
    usage = ask(catalogue, ONE)
    assert (usage.runs, usage.complete) == ((), False)
    objects.read_failures.clear()
    clock.now += 31
    usage = ask(catalogue, ONE)
    assert (names(usage), usage.complete) == (["a"], True)


def test_without_any_listing_the_failure_is_told_and_retried(catalogue, objects, clock):
    objects.run("a", [ONE])
    objects.failure = DeniedError("no s3:ListBucket")
    for _ in range(3):
        with pytest.raises(RunsUnreadableError, match="ListBucket"):
            ask(catalogue, ONE)
    assert objects.listings == 1
    objects.failure = None
    clock.now += 6
    assert names(ask(catalogue, ONE)) == ["a"]


def test_an_earlier_listing_answers_while_s3_does_not(catalogue, objects, clock):
    objects.run("a", [ONE])
    before = ask(catalogue, ONE)
    objects.failure = UnavailableError("no answer")
    clock.now += 31
    after = ask(catalogue, ONE)
    assert (names(after), after.as_of) == (["a"], before.as_of)


def test_runs_that_are_deleted_are_forgotten(catalogue, objects, clock):
    objects.run("a", [ONE])
    ask(catalogue, ONE)
    objects.stored.clear()
    clock.now += 31
    assert ask(catalogue, ONE).runs == ()


def test_answers_say_when_runs_were_left_out(objects, clock):
    catalogue = RunCatalogue(objects, refresh_s=0, max_image_sets=2, clock=clock)
    objects.run("a", [ONE, TWO])
    objects.run("b", [ONE], hours=1)
    usage = ask(catalogue, ONE)
    assert (names(usage), usage.complete) == (["b"], False)
    ask(catalogue, ONE)
    assert len(objects.reads) == 2
