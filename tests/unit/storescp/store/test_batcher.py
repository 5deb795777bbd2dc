"""When batches end, and when they are complete."""

import datetime as dt
import threading

import pytest

from isocenter.core.batch import StoredInstance
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.backlog import Backlog
from isocenter.storescp.store.batcher import Arrival, Batcher
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.spool import Spool

NOW = dt.datetime(2026, 11, 23, 3, 15, tzinfo=dt.UTC)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(
        tmp_path / "spool",
        Destination(
            bucket="inbox", datastore="d", dicom_prefix="DICOM/", batches_prefix="b/"
        ),
    )
    spool.prepare()
    yield spool
    spool.release()


class Bench:
    """A batcher whose time stands still until it is moved."""

    def __init__(self, spool, **limits):
        self.spool = spool
        self.time = 0.0
        self.work = Backlog(spool, clock=lambda: self.time)
        self.batcher = Batcher(
            spool,
            BatchLimits(**limits),
            self.work,
            clock=lambda: self.time,
            now=lambda: NOW,
        )

    def add(self, uid, size=100, write=None):
        self.batches = []

        def kept(batch, name):
            self.batches.append(batch)
            if write is not None:
                write()
            return record(uid, size), False

        arrival = Arrival(uid, "ab" * 32, size, "SCU")
        with self.batcher.claim(uid):
            self.batcher.add(arrival, kept)
        return self.batches[0]

    def tasks(self):
        taken = []
        while len(self.work):
            taken.append(self.work.take())
            self.work.done(taken[-1])
        return [(t.kind, t.name.partition("~")[0]) for t in taken]


def record(uid, size):
    return StoredInstance(
        key=f"DICOM/{uid}.dcm",
        sop_instance_uid=uid,
        sop_class_uid="1.2",
        study_instance_uid="1.3",
        series_instance_uid="1.4",
        transfer_syntax_uid="1.5",
        bytes=size,
        sha256="ab" * 32,
        calling_ae="SCU",
        received_at=NOW,
    )


def test_instances_share_a_batch_until_it_is_quiet(spool):
    bench = Bench(spool, quiet_s=10)
    first = bench.add("1.1")
    bench.time = 9
    assert bench.add("1.2") == first
    bench.time = 18
    bench.batcher.tick()
    assert bench.add("1.3") == first
    bench.time = 28
    bench.batcher.tick()
    assert bench.add("1.4") > first  # ids sort by time


def test_bytes_count(spool):
    bench = Bench(spool, max_bytes=250)
    first, second, third = (bench.add(f"1.{n}") for n in range(3))
    assert first == second != third


def test_an_instance_over_the_limit_travels_alone(spool):
    bench = Bench(spool, max_bytes=250)
    assert len({bench.add("1.1"), bench.add("1.2", 300), bench.add("1.3")}) == 3


def test_complete_means_closed_and_in_s3(spool):
    bench = Bench(spool)
    batch = bench.add("1.1")
    bench.add("1.2")
    bench.batcher.put_done(batch)
    bench.batcher.close()
    assert ("manifest", "") not in bench.tasks()
    bench.batcher.put_done(batch)
    assert bench.tasks() == [("manifest", "")]


def test_a_failed_write_is_no_instance(spool):
    bench = Bench(spool)

    def broken():
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        bench.add("1.1", write=broken)
    assert not bench.batcher.has("1.1", "ab" * 32)
    bench.add("1.1")
    assert bench.batcher.has("1.1", "ab" * 32)
    assert bench.tasks() == [("instance", "1.1")]  # the same name as the first had


def test_closed_while_being_written_completes_afterwards(spool):
    bench = Bench(spool)
    batch = bench.add("1.1", write=bench.batcher.close)
    assert bench.tasks() == [("instance", "1.1")]
    bench.batcher.put_done(batch)
    assert bench.tasks() == [("manifest", "")]


def test_a_batch_of_which_nothing_was_kept_is_complete_at_once(spool):
    bench = Bench(spool)

    def broken():
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        bench.add("1.1", write=broken)
    bench.batcher.close()
    assert bench.tasks() == [("manifest", "")]


def test_one_at_a_time_for_each_uid(spool):
    bench = Bench(spool)
    order = []

    def second():
        with bench.batcher.claim("1.1"):
            order.append("second")

    thread = threading.Thread(target=second)
    with bench.batcher.claim("1.1"):
        thread.start()
        with bench.batcher.claim("1.2"):
            order.append("other")
        order.append("first")
    thread.join(5)
    assert order == ["other", "first", "second"]


def test_a_claim_is_not_waited_for_for_ever(spool, monkeypatch):
    monkeypatch.setattr("isocenter.storescp.store.batcher._WAIT_FOR_TWIN_S", 0.01)
    bench = Bench(spool)
    with (
        bench.batcher.claim("1.1"),
        pytest.raises(StoreRefusedError, match="sent twice"),
        bench.batcher.claim("1.1"),
    ):
        raise AssertionError("claimed twice")
    with bench.batcher.claim("1.1"):
        pass


def test_other_bytes_get_a_key_of_their_own_though_the_first_failed(spool):
    """S3 may carry out a PUT late that seemed to fail: it must hit nothing else."""
    bench = Bench(spool)
    names = []

    def send(sha256, *, kept):
        def write(_batch, name):
            names.append(name)
            if not kept:
                raise OSError(5, "no answer")
            return record("1.1", 100), True

        with bench.batcher.claim("1.1"):
            bench.batcher.add(Arrival("1.1", sha256, 100, "SCU"), write)

    with pytest.raises(OSError, match="no answer"):
        send("ab" * 32, kept=False)
    send("cd" * 32, kept=True)
    send("ab" * 32, kept=True)
    assert [name.stem for name in names] == ["1.1", "1.1-" + "cd" * 8, "1.1"]
