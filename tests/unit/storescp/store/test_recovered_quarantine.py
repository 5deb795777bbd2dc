"""What the index is told at the start of acknowledged instances in quarantine."""

import time
from pathlib import Path

import pytest


def aside(store, dataset, **record):
    """Store an instance and set it aside; answers its name."""
    store.send(dataset)
    task = store.backlog.take()
    record = {"sopInstanceUid": "1.2.3.1", "batch": task.batch} | record
    store.spool.put_aside(task.batch, task.name, "refused-by-store", record)
    return task


def lose_index(store):
    store.close()
    for path in Path(store.spool.volume).glob("index.sqlite*"):
        path.unlink()


def test_an_index_that_was_lost_knows_what_is_in_quarantine(make_store, instances):
    store = make_store()
    task = aside(store, next(instances))
    lose_index(store)
    later = make_store()
    (known,) = later.index.versions("1.2.3.1")
    assert (known.key, known.batch) == ("", task.batch)
    assert known.sha256 == task.name.split("~")[1]
    assert abs(known.time - time.time()) < 60
    assert later.index.find("1.2.3.1") == []


def test_one_that_came_again_since_is_not_set_aside(make_store, instances):
    store, dataset = make_store(), next(instances)
    aside(store, dataset)
    store.batcher.close()
    store.send(dataset)
    lose_index(store)
    (known,) = make_store().index.versions("1.2.3.1")
    assert known.key


@pytest.mark.parametrize("uid", ["", 7])
def test_a_record_that_does_not_say_is_left(make_store, instances, uid):
    store = make_store()
    aside(store, next(instances), sopInstanceUid=uid)
    lose_index(store)
    assert make_store().index.versions("1.2.3.1") == []
