import json
from datetime import UTC, datetime, timedelta

import pytest

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.usage.dataset_runs import DatasetRun, RunIndex, parse_use
from isocenter.tlm_proxy.usage.run_layout import Execution

ONE, TWO, THREE = (f"{n:032d}" for n in (1, 2, 3))
STORE = "d" * 32


def run(name, image_sets, hours=0, store=STORE):
    return DatasetRun(
        Execution("ns", name, 1, "e"),
        store,
        tuple(image_sets),
        datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hours),
    )


def names(index, *image_sets, store=STORE):
    return [found.execution.name for found in index.using(store, image_sets)]


def test_use_of_a_manifest_is_what_has_arrays(manifest):
    use = parse_use(manifest([TWO, ONE], omitted=[THREE]), source="m")
    assert (use.datastore_id, use.used) == (STORE, (ONE, TWO))


def test_an_entry_without_arrays_was_not_used(manifest):
    document = json.loads(manifest([ONE, TWO]))
    document["imageSets"][0]["arrays"] = []
    assert parse_use(json.dumps(document).encode(), source="m").used == (TWO,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema":2,"datastoreId":"d","imageSets":[]}',
        b'{"schema":1}',
    ],
)
def test_what_is_not_a_manifest_is_named(body):
    with pytest.raises(MalformedError, match=r"s3://b/m\.json is not a dataset"):
        parse_use(body, source="s3://b/m.json")


def test_runs_of_any_of_the_image_sets_the_latest_first():
    index = RunIndex(100)
    for each in (run("old", [ONE]), run("new", [ONE, TWO], 2), run("other", [THREE])):
        index.add(each)
    assert names(index, ONE) == ["new", "old"]
    assert names(index, TWO, THREE) == ["new", "other"]
    assert names(index, ONE, store="e" * 32) == []
    assert names(index) == []


def test_without_room_the_oldest_are_left_out_whatever_the_order():
    index = RunIndex(3)
    for each in (run("b", [ONE, TWO], 2), run("a", [ONE], 1), run("c", [ONE], 3)):
        index.add(each)
    assert names(index, ONE) == ["c", "b"]
    assert {found.name for found in index.left_out} == {"a"}
    assert all(Execution("ns", name, 1, "e") in index for name in "abc")


def test_room_of_runs_that_are_gone_is_used_again():
    index = RunIndex(2)
    index.add(run("a", [ONE, TWO], 1))
    index.keep_only([])
    assert names(index, ONE) == []
    index.add(run("b", [ONE, TWO], 0))
    assert (names(index, ONE), index.left_out) == (["b"], set())


def test_a_run_that_was_gone_and_came_back_is_kept_once():
    index = RunIndex(4)
    index.add(run("a", [ONE], 1))
    index.keep_only([])
    index.add(run("a", [ONE], 1))
    index.add(run("b", [ONE, TWO, THREE], 2))
    assert names(index, ONE) == ["b", "a"]
    assert index.left_out == set()
