import threading

import pytest

from isocenter.storescp.store.backlog import LONGEST_DELAY_S, Backlog, Task, delay_s


class Volume:
    """Names by batch, as the spool has them."""

    def __init__(self, batches=(), quarantine=()):
        self.batches = dict(batches)
        self.quarantine = list(quarantine)

    def waiting(self, batch):
        return list(self.batches[batch])

    def exists(self, batch, name):
        return name in self.batches[batch]

    def quarantined(self):
        return list(self.quarantine)

    def is_quarantined(self, reason, sha256):
        return (reason, sha256) in self.quarantine


def carry_out(backlog, volume):
    """Do everything there is; answers the names in order."""
    names = []
    while not backlog.wait_empty(0):
        task = backlog.take()
        names.append(task.name)
        if task.kind == "instance":
            volume.batches[task.batch].remove(task.name)
        else:
            volume.quarantine.remove((task.batch, task.name))
        backlog.done(task)
    return names


@pytest.mark.parametrize(
    ("attempt", "chance", "expected"),
    [(1, 1, 0.5), (1, 0, 0.25), (2, 1, 1.0), (5, 1, 8.0), (99, 1, LONGEST_DELAY_S)],
)
def test_delay(attempt, chance, expected):
    assert delay_s(attempt, chance) == expected


def test_due_tasks_come_in_order():
    backlog = Backlog(Volume())
    tasks = [Task("instance", "b", str(n)) for n in range(5)]
    for task in tasks:
        backlog.add(task)
    assert [backlog.take() for _ in tasks] == tasks


def test_a_failed_task_waits_while_others_go_on():
    now = [0.0]
    backlog = Backlog(Volume(), clock=lambda: now[0], chance=lambda: 1.0)
    first, second = Task("instance", "b", "1"), Task("instance", "b", "2")
    backlog.add(first)
    taken = backlog.take()
    assert backlog.put_back(taken) == 0.5
    assert len(backlog) == 1
    backlog.add(second)
    assert backlog.take() == second
    now[0] = 0.5
    assert backlog.take() == first.again()


def test_hurry_and_empty():
    backlog = Backlog(Volume())
    backlog.add(Task("manifest", "b"))
    taken = backlog.take()
    backlog.put_back(taken)
    assert not backlog.wait_empty(0)
    backlog.hurry()
    taken = backlog.take()
    assert taken.attempt == 1
    assert not backlog.wait_empty(0)  # taken is not done
    backlog.done(taken)
    assert backlog.wait_empty(0)
    assert len(backlog) == 0


def test_close_wakes_everybody():
    backlog = Backlog(Volume())
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(backlog.take()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    backlog.close()
    for thread in threads:
        thread.join(5)
    assert answers == [None] * 3


def test_what_is_found_at_the_start_is_listed_piece_by_piece():
    volume = Volume({"b1": [f"1.{n}" for n in range(25)], "b2": ["2.1", "2.2"]})
    backlog = Backlog(volume, limit=10)
    for batch, names in volume.batches.items():
        backlog.add_found(batch, len(names))
    assert len(backlog) == 27
    done = carry_out(backlog, volume)
    assert sorted(done) == sorted([f"1.{n}" for n in range(25)] + ["2.1", "2.2"])


def test_an_open_batch_that_overflowed_is_listed_once_it_is_closed():
    volume = Volume({"b": [f"1.{n}" for n in range(30)]})
    backlog = Backlog(volume, limit=10)
    for name in volume.batches["b"]:
        backlog.add(Task("instance", "b", name))
    assert len(backlog) == 30
    backlog.batch_closed("b")
    assert len(carry_out(backlog, volume)) == 30


def test_listing_gives_no_task_twice():
    volume = Volume({"b": [f"1.{n}" for n in range(30)]})
    backlog = Backlog(volume, limit=10)
    backlog.add_found("b", 30)
    done, lock = [], threading.Lock()

    def work():
        while (task := backlog.take()) is not None:
            with lock:
                done.append(task.name)
                volume.batches["b"].remove(task.name)
            backlog.done(task)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert backlog.wait_empty(10)
    backlog.close()
    for thread in threads:
        thread.join(5)
    assert sorted(done) == sorted(f"1.{n}" for n in range(30))


def test_quarantined_files_are_listed_too():
    volume = Volume(quarantine=[("mismatch", str(n)) for n in range(20)])
    backlog = Backlog(volume, limit=10)
    backlog.add_quarantine()
    backlog.add(Task("quarantine", "mismatch", "3"))
    assert sorted(carry_out(backlog, volume), key=int) == [str(n) for n in range(20)]


def test_a_volume_that_is_away_is_tried_again(monkeypatch):
    monkeypatch.setattr("isocenter.storescp.store.backlog._AWAY_S", 0)
    volume = Volume({"b": ["1.1"]})
    failures = [OSError(5, "Input/output error")] * 2
    whole = volume.waiting

    def waiting(batch):
        if failures:
            raise failures.pop()
        return whole(batch)

    volume.waiting = waiting
    backlog = Backlog(volume)
    backlog.add_found("b", 1)
    assert carry_out(backlog, volume) == ["1.1"]


def test_a_folder_that_cannot_be_read_stops_no_other(monkeypatch):
    monkeypatch.setattr("isocenter.storescp.store.backlog._AWAY_S", 0)
    volume = Volume({"b1": ["1.1"], "b2": ["2.1"]})
    whole = volume.waiting

    def waiting(batch):
        if batch == "b1":
            raise OSError(5, "Input/output error")
        return whole(batch)

    volume.waiting = waiting
    backlog = Backlog(volume)
    for batch in volume.batches:
        backlog.add_found(batch, 1)
    timer = threading.Timer(5, backlog.close)
    timer.start()
    taken = backlog.take()
    timer.cancel()
    assert taken == Task("instance", "b2", "2.1")


def test_a_listing_under_way_may_find_something():
    volume = Volume(quarantine=[("mismatch", "1")])
    backlog = Backlog(volume)
    whole, empty = volume.quarantined, []

    def quarantined():
        empty.append(backlog.wait_empty(0))
        return whole()

    volume.quarantined = quarantined
    backlog.add_quarantine()
    assert carry_out(backlog, volume) == ["1"]
    assert empty == [False]
