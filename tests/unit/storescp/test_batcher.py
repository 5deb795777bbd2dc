import datetime as dt
import io
import threading

import pytest

from isocenter.core.batch import StoredInstance
from isocenter.storescp.batcher import Batcher
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.spool import Destination, Spool
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.work import WorkQueue

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
    return spool


class Bench:
    """A batcher whose time stands still until it is moved."""

    def __init__(self, spool, **limits):
        self.spool = spool
        self.time = 0.0
        self.work = WorkQueue(clock=lambda: self.time)
        self.batcher = Batcher(
            spool,
            BatchLimits(**limits),
            self.work,
            clock=lambda: self.time,
            now=lambda: NOW,
        )

    def add(self, uid, content=b"pixels"):
        part = self.spool.write_part(b"header", io.BytesIO(content))
        return self.batcher.add(part, uid, lambda batch: record(batch, uid, part))

    def tasks(self):
        taken = []
        while len(self.work) > len(taken):
            taken.append(self.work.take())
        for _ in taken:
            self.work.done()
        return [(t.kind, t.sop_instance_uid) for t in taken]

    def files(self):
        return sorted(path.name for path in self.spool.root.glob("b*/*.dcm"))


def record(batch, uid, part):
    return StoredInstance(
        key=f"DICOM/{batch}/{uid}.dcm",
        sop_instance_uid=uid,
        sop_class_uid="1.2",
        study_instance_uid="1.3",
        series_instance_uid="1.4",
        transfer_syntax_uid="1.5",
        bytes=part.size,
        sha256=part.sha256,
        calling_ae="SCU",
        received_at=NOW,
    )


def test_instances_share_a_batch_until_it_is_quiet(spool):
    bench = Bench(spool, quiet_s=10)
    bench.add("1.1")
    bench.time = 9
    bench.add("1.2")
    bench.time = 18
    bench.batcher.tick()
    bench.add("1.3")
    assert len(spool.batches()) == 1
    bench.time = 28
    bench.batcher.tick()
    bench.add("1.4")
    assert len(spool.batches()) == 2


def test_a_full_batch_is_followed_by_another(spool):
    bench = Bench(spool, max_instances=2)
    for n in range(5):
        bench.add(f"1.{n}")
    assert [len(spool.waiting(b)) for b in spool.batches()] == [2, 2, 1]


def test_bytes_count(spool):
    bench = Bench(spool, max_bytes=250)
    for n in range(3):
        bench.add(f"1.{n}", bytes(94))
    assert [len(spool.waiting(b)) for b in spool.batches()] == [2, 1]


def test_the_same_bytes_are_one_object(spool):
    bench = Bench(spool)
    assert bench.add("1.1", b"same") is not None
    assert bench.add("1.1", b"same") is None
    assert len(bench.files()) == 1
    assert bench.tasks() == [("instance", "1.1")]
    assert not list(spool.incoming.iterdir())


def test_other_bytes_of_the_same_uid_go_to_the_next_batch(spool):
    bench = Bench(spool)
    first = bench.add("1.1", b"old")
    second = bench.add("1.1", b"new")
    assert first.key != second.key
    assert sorted([first.key, second.key]) == [first.key, second.key]
    assert bench.files() == ["1.1.dcm", "1.1.dcm"]
    assert spool.instance_path(spool.batches()[0], "1.1").read_bytes() == b"headerold"


def test_the_same_uid_in_a_later_batch_is_stored_again(spool):
    bench = Bench(spool)
    bench.add("1.1", b"same")
    bench.batcher.close()
    assert bench.add("1.1", b"same") is not None


def test_complete_means_closed_and_in_s3(spool):
    bench = Bench(spool)
    bench.add("1.1")
    bench.add("1.2")
    [batch] = spool.batches()
    bench.batcher.put_done(batch)
    bench.batcher.close()
    assert ("manifest", "") not in bench.tasks()
    bench.batcher.put_done(batch)
    assert bench.tasks() == [("manifest", "")]


def test_a_failed_write_is_no_instance(spool, monkeypatch):
    bench = Bench(spool)

    def broken(*_):
        raise OSError(28, "full")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "keep", broken)
        with pytest.raises(OSError, match="full"):
            bench.add("1.1")
    assert bench.add("1.1") is not None  # not taken for a duplicate
    assert bench.tasks() == [("instance", "1.1")]
    assert not list(spool.incoming.iterdir())


@pytest.mark.parametrize("fails", [False, True])
def test_twins_sent_at_once_share_their_fate(spool, monkeypatch, fails):
    bench = Bench(spool)
    writing, go_on = threading.Event(), threading.Event()
    keep = spool.keep

    def slow(*arguments):
        writing.set()
        go_on.wait(5)
        if fails:
            raise OSError(28, "full")
        keep(*arguments)

    monkeypatch.setattr(spool, "keep", slow)
    answers = {}

    def add(name):
        try:
            answers[name] = bench.add("1.1")
        except (OSError, StoreRefusedError) as error:
            answers[name] = error

    first = threading.Thread(target=add, args=["first"])
    first.start()
    assert writing.wait(5)
    second = threading.Thread(target=add, args=["second"])
    second.start()
    second.join(0.1)
    assert second.is_alive()  # not acknowledged before the bytes are durable
    go_on.set()
    first.join(5)
    second.join(5)
    if fails:
        assert isinstance(answers["first"], OSError)
        assert isinstance(answers["second"], StoreRefusedError)
    else:
        assert answers["first"].sop_instance_uid == "1.1"
        assert answers["second"] is None


def test_closed_while_being_written_completes_afterwards(spool, monkeypatch):
    bench = Bench(spool)
    keep = spool.keep

    def closing(*arguments):
        bench.batcher.close()
        keep(*arguments)

    monkeypatch.setattr(spool, "keep", closing)
    bench.add("1.1")
    assert bench.tasks() == [("instance", "1.1")]
    [batch] = spool.batches()
    bench.batcher.put_done(batch)
    assert bench.tasks() == [("manifest", "")]


def test_recovery_closes_what_it_finds(spool):
    before = Bench(spool)
    before.add("1.1")
    before.add("1.2")
    [batch] = spool.batches()
    spool.mark_put(batch, "1.1")
    (spool.root / batch / "1.3.dcm").write_bytes(b"never acknowledged")
    after = Bench(spool)
    after.batcher.recover()
    assert after.tasks() == [("instance", "1.2")]
    assert not (spool.root / batch / "1.3.dcm").exists()
    assert after.add("1.4").key.split("/")[1] != batch
    after.batcher.put_done(batch)
    assert ("manifest", "") in after.tasks()


def test_recovery_of_a_batch_that_is_all_in_s3(spool):
    before = Bench(spool)
    before.add("1.1")
    [batch] = spool.batches()
    spool.mark_put(batch, "1.1")
    after = Bench(spool)
    after.batcher.recover()
    assert after.tasks() == [("manifest", "")]
