"""Every state that a kill can leave has a next step."""

import datetime as dt
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from support.instances import ct

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import ConfigurationError
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store import durable
from isocenter.storescp.store.journal import Journal

SMALL = BatchLimits(quiet_s=60, max_age_s=60, max_instances=2, max_bytes=10**6)
BATCH = "b20261123t031500000-0a1b"


def listed(sealed):
    return sorted(i.sop_instance_uid for batch in sealed.values() for i in batch)


def test_what_is_on_the_volume_is_taken_up(make_store, instances):
    store = make_store(limits=SMALL)
    for _ in range(5):
        store.send(next(instances), calling_ae="CT 1")
    store.close()
    later = make_store()
    sealed = later.drain()
    assert listed(sealed) == [f"1.2.3.{n}" for n in range(1, 6)]
    assert {i.calling_ae for batch in sealed.values() for i in batch} == {"CT 1"}
    assert later.spool.usage.bytes == 0
    assert {path.name for path in later.spool.root.iterdir()} == {
        "incoming",
        "lock",
        "reserve",
    }


def test_a_duplicate_of_what_waits_on_the_volume(make_store, instances):
    dataset = next(instances)
    store = make_store()
    store.send(dataset)
    store.close()
    later = make_store()
    assert later.send(dataset).bytes == 0
    assert later.objects.asked == 0


def test_a_lost_index_is_filled_from_the_volume(make_store, instances, tmp_path):
    dataset = next(instances)
    store = make_store()
    store.send(dataset)
    store.close()
    for path in (tmp_path / "spool").glob("index.sqlite*"):
        path.unlink()
    later = make_store()
    assert later.send(dataset).bytes == 0


def test_an_instance_that_was_put_but_not_removed_is_not_put_again(
    make_store, instances
):
    store = make_store()
    store.send(next(instances))
    store.send(next(instances))
    task = store.backlog.take()
    store.spool.note_put(task.batch, [(task.name, task.instance)])  # then killed
    store.close()
    later = make_store()
    assert len(later.backlog) == 1
    assert listed(later.drain()) == ["1.2.3.1", "1.2.3.2"]
    assert [key for _, key in later.objects.objects if key.endswith(".dcm")] == [
        f"DICOM/{task.batch}/{uid}.dcm" for uid in ("1.2.3.2",)
    ]


@pytest.mark.parametrize(
    "torn", [b'{"name":"1', b"\x00\x00\n", b'{"name":"x"}\n', b"\n"]
)
def test_a_torn_line_is_none_and_the_next_is_whole(make_store, instances, torn):
    store = make_store()
    store.send(next(instances))
    store.send(next(instances))
    task = store.backlog.take()
    store.spool.mark_put(task.batch, [(task.name, task.instance)])
    with (store.spool.root / task.batch / "put.jsonl").open("ab") as file:
        file.write(torn)
    store.close()
    later = make_store()
    assert len(later.backlog) == 1
    assert listed(later.drain()) == ["1.2.3.1", "1.2.3.2"]


def test_a_fixed_manifest_is_kept_as_it_is(make_store, instances):
    store = make_store()
    store.send(next(instances))
    store.batcher.close()
    task = store.backlog.take()
    store.spool.mark_put(task.batch, [(task.name, task.instance)])
    store.spool.fix_manifest(task.batch, b"exactly this")
    store.close()
    later = make_store()
    assert later.backlog.take().kind == "manifest"
    assert later.spool.manifest(task.batch) == b"exactly this"


@pytest.mark.parametrize("left", [[], ["batch.json"], ["batch.json.part", "x.part"]])
def test_a_batch_that_never_had_an_instance_goes(make_store, tmp_path, left):
    folder = tmp_path / "spool" / "w0" / BATCH
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).write_text("{}" if name.endswith(".part") else VALID)
    store = make_store()
    assert store.drain() == {BATCH: []}
    assert not folder.exists()


VALID = '{"bucket":"inbox","datastore":"d","dicom_prefix":"D/","batches_prefix":"b/"}'


def test_what_was_being_received_is_removed(make_store):
    store = make_store()
    sink = store.begin(ct())
    sink.write(memoryview(b"half"))
    store.close()
    assert list(store.spool.incoming.glob("*.part"))
    make_store()
    assert not list(store.spool.incoming.glob("*.part"))
    sink.abandon()


def test_quarantine_is_taken_up(make_store, instances):
    store = make_store()
    with pytest.raises(StoreRefusedError):
        store.send(next(instances), sop_instance_uid="9.9")
    ((reason, sha256),) = store.spool.quarantine.waiting()
    (store.spool.quarantine.root / reason / ("0" * 64 + ".json")).write_text("{}")
    store.close()
    later = make_store()
    task = later.backlog.take()
    assert (task.kind, task.batch, task.name) == ("quarantine", reason, sha256)
    assert len(list((later.spool.quarantine.root / reason).iterdir())) == 2
    assert later.spool.usage.bytes > 0


def test_an_instance_set_aside_leaves_its_batch(store, instances):
    store.send(next(instances))
    store.send(next(instances))
    task = store.backlog.take()
    store.spool.put_aside(task.batch, task.name, "refused-by-store", {"batch": "b"})
    store.batcher.put_done(task.batch)
    store.backlog.done(task)
    store.batcher.close()
    assert listed(store.drain()) == ["1.2.3.2"]
    assert store.index.find("1.2.3.1") == []
    (aside,) = store.index.versions("1.2.3.1")
    assert (aside.key, aside.batch) == ("", task.batch)
    assert abs(aside.time - time.time()) < 60


def test_a_worker_has_its_folder_for_itself(make_store):
    make_store()
    with pytest.raises(ConfigurationError, match="in use by another process"):
        make_store()


class TestTakeOver:
    """Folders of workers that are no longer configured, and of earlier versions."""

    def test_a_worker_that_is_gone(self, make_store, instances):
        other = make_store(worker=1, workers=2)
        other.send(next(instances))
        with pytest.raises(StoreRefusedError):
            other.send(next(instances), sop_instance_uid="9.9")
        requests = other.spool.root / "commitment"
        requests.mkdir()
        (requests / "one.json").write_text("{}")
        running = make_store(workers=1)  # it still runs: left alone
        assert len(running.backlog) == 0
        running.close()
        other.close()
        later = make_store(workers=1)
        assert len(list(later.spool.quarantine.waiting())) == 1
        assert (requests / "one.json").exists()  # for commitment to adopt
        assert listed(later.drain()) == ["1.2.3.1"]
        assert not list((later.spool.volume / "w1").glob("b*"))

    def test_a_configured_worker_is_left_alone(self, make_store, instances):
        other = make_store(worker=1, workers=2)
        other.send(next(instances))
        other.close()
        assert not len(make_store(workers=2).backlog)

    @pytest.fixture
    def earlier(self, tmp_path):
        """A volume as the version before left it, in each of its states."""
        folder = tmp_path / "spool" / BATCH
        folder.mkdir(parents=True)
        (tmp_path / "spool" / "incoming").mkdir()
        (tmp_path / "spool" / "incoming" / "half.part").write_bytes(b"x")
        (folder / "batch.json").write_text(VALID)

        def put(uid, *, dcm, record):
            content = part10_header(
                sop_class_uid="1.2",
                sop_instance_uid=uid,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
            ) + _data_set(uid)
            instance = StoredInstance(
                key=f"D/{BATCH}/{uid}.dcm",
                sop_instance_uid=uid,
                sop_class_uid="1.2",
                study_instance_uid="1.3",
                series_instance_uid="1.4",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                calling_ae="CT 1",
                received_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
            )
            if dcm:
                (folder / f"{uid}.dcm").write_bytes(content)
            if record:
                (folder / f"{uid}{record}").write_text(
                    instance.model_dump_json(by_alias=True)
                )
            return instance

        return {
            "acknowledged": put("1.1", dcm=True, record=".json"),
            "stored": put("1.2", dcm=False, record=".put.json"),
            "stored, not removed": put("1.3", dcm=True, record=".put.json"),
            "never acknowledged": put("1.4", dcm=True, record=""),
        }

    def test_the_earlier_layout(self, make_store, earlier, tmp_path):
        store = make_store()
        assert len(store.backlog) == 1
        (batch,) = store.drain().values()
        assert {i.sop_instance_uid: i for i in batch} == {
            i.sop_instance_uid: i
            for state, i in earlier.items()
            if state != "never acknowledged"
        }
        assert ("inbox", f"D/{BATCH}/1.1.dcm") in store.objects.objects
        assert ("inbox", f"D/{BATCH}/1.2.dcm") not in store.objects.objects
        assert not (tmp_path / "spool" / BATCH).exists()
        assert not list((tmp_path / "spool" / "incoming").iterdir())

    def test_a_damaged_record_takes_no_instance_with_it(
        self, make_store, earlier, tmp_path
    ):
        (tmp_path / "spool" / BATCH / "1.1.json").write_bytes(bytes(20))
        (batch,) = make_store().drain().values()
        sent = earlier["acknowledged"]
        [kept] = [i for i in batch if i.sop_instance_uid == "1.1"]
        assert (kept.key, kept.sha256, kept.bytes) == (
            sent.key,
            sent.sha256,
            sent.bytes,
        )
        assert len(batch) == 3

    @pytest.mark.usefixtures("earlier")
    def test_a_fixed_manifest_of_the_earlier_layout(self, make_store, tmp_path):
        folder = tmp_path / "spool" / BATCH
        for path in folder.glob("1.*"):
            if not path.name.endswith(".put.json"):
                path.unlink()
        (folder / "manifest.json").write_bytes(b"exactly this")
        store = make_store()
        assert store.backlog.take().kind == "manifest"
        assert store.spool.manifest(BATCH) == b"exactly this"

    @pytest.mark.parametrize("damaged", ["", "1.1.json", "1.3.put.json"])
    @pytest.mark.usefixtures("earlier", "fast")
    def test_a_conversion_killed_at_every_step(
        self, make_store, tmp_path, steps, damaged
    ):
        if damaged:
            (tmp_path / "spool" / BATCH / damaged).write_bytes(bytes(20))
        pristine = _copy(tmp_path / "spool")
        for step in range(1, 1000):
            _restore(tmp_path / "spool", pristine)
            killed = steps.run(step, lambda: make_store(indexed=False))
            steps.close(make_store)
            assert listed(make_store(indexed=False).drain()) == ["1.1", "1.2", "1.3"]
            steps.close(make_store)
            if not killed:
                break
        assert step > 10


def _data_set(uid):
    from pynetdicom.dsutils import encode  # noqa: PLC0415 - only for this layout

    dataset = ct(uid=uid, StudyInstanceUID="1.3", SeriesInstanceUID="1.4")
    dataset.SOPClassUID = "1.2"
    return encode(dataset, False, True)


def _copy(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _restore(folder, content):
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    for name, body in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)


class _KilledError(BaseException):
    """Not an Exception: nothing that handles errors handles it."""


class _Steps:
    """Ends a run before the n-th call that changes the volume."""

    _CALLS = (
        (os, "write"),
        (os, "fsync"),
        (os, "rename"),
        (Path, "rename"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (Path, "rmdir"),
    )

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch

    def run(self, step, action):
        """Whether ``action`` was ended."""
        left = [step]

        def before(call):
            def wrapped(*args, **named):
                left[0] -= 1
                if left[0] <= 0:  # a dead process takes no further step either
                    raise _KilledError
                return call(*args, **named)

            return wrapped

        with self._monkeypatch.context() as patched:
            for owner, name in self._CALLS:
                patched.setattr(owner, name, before(getattr(owner, name)))
            try:
                action()
            except _KilledError:
                return True
        return False

    def close(self, make_store):
        """Let go of the volume, as the kernel does for a dead process."""
        for store in make_store.made:
            store.close()
        make_store.made.clear()


@pytest.fixture
def steps(monkeypatch):
    return _Steps(monkeypatch)


@pytest.fixture
def fast(monkeypatch):
    """These tests are about the order of steps, not about the disk."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.mark.parametrize("durability", ["spool", "object_store"])
@pytest.mark.usefixtures("fast")
def test_killed_at_every_step(make_store, steps, durability, tmp_path):
    """Reception, uploads and sealing, ended before each change of the volume.

    What was acknowledged is sealed in the end, once each, under keys that are in S3.
    """
    volume = tmp_path / "spool"
    for step in range(1, 1000):
        _restore(volume, {})
        store = make_store(limits=SMALL, durability=durability, indexed=False)
        objects = store.objects
        acknowledged = []

        def work(store=store, acknowledged=acknowledged):
            for number in (1, 2, 3):
                store.send(ct(uid=f"1.2.{number}"))
                acknowledged.append(f"1.2.{number}")
            store.send(ct(uid="1.2.1", seed=9))  # other bytes
            acknowledged.append("1.2.1")
            store.batcher.close()
            store.drain()

        killed = steps.run(step, work)
        steps.close(make_store)
        later = make_store(
            limits=SMALL, durability=durability, objects=objects, indexed=False
        )
        later.drain()
        everything = later.sealed()
        found = [i.sop_instance_uid for i in everything]
        for uid in set(acknowledged):
            assert found.count(uid) >= acknowledged.count(uid), (step, uid)
        assert len({i.key for i in everything}) == len(everything)
        for instance in everything:
            content = objects.objects["inbox", instance.key]
            assert hashlib.sha256(content).hexdigest() == instance.sha256
        assert later.spool.usage.bytes == 0
        steps.close(make_store)
        if not killed:
            break
    assert step > 40
    assert len(acknowledged) == len(found) == 4


def test_the_journal_says_each_instance_once(tmp_path):
    journal = Journal(tmp_path)
    instance = StoredInstance(
        key="k",
        sop_instance_uid="1.2",
        sop_class_uid="1.2",
        study_instance_uid="1.3",
        series_instance_uid="1.4",
        transfer_syntax_uid="1.5",
        bytes=1,
        sha256="ab" * 32,
        calling_ae="CT",
        received_at=dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    )
    for name in ("a", "b", "a"):
        journal.add([(name, instance)])
    assert [name for name, _ in journal.read()] == ["a", "b"]
    assert [found for _, found in journal.read()] == [instance] * 2
    line = (tmp_path / "put.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["name"] == "a"


def test_a_batch_that_was_sealed_meanwhile_has_nothing_waiting(store):
    assert list(store.spool.waiting("b20261123t031500000-gone")) == []


def test_what_failed_in_any_way_is_not_in_the_manifest(make_store, instances):
    store = make_store(durability="object_store")
    put = store.objects.put

    def broken(*_):
        raise RuntimeError("not foreseen")

    store.objects.put = broken
    with pytest.raises(RuntimeError):
        store.send(next(instances))
    store.objects.put = put
    kept = next(instances)
    store.send(kept)
    store.batcher.close()
    [batch] = store.drain().values()
    assert [i.sop_instance_uid for i in batch] == [kept.SOPInstanceUID]


def test_the_folders_of_quarantine_are_durable(store, tmp_path, monkeypatch):
    synced = []
    sync = durable.sync_folder

    def failing_once(folder):
        monkeypatch.setattr(durable, "sync_folder", recording)
        raise OSError(5, "Input/output error")

    def recording(folder):
        synced.append(folder)
        sync(folder)

    monkeypatch.setattr(durable, "sync_folder", failing_once)
    part = tmp_path / "x.part"
    part.write_bytes(b"x")
    keep = store.spool.quarantine.keep
    with pytest.raises(OSError, match="Input"):
        keep(part, "ab" * 32, "damaged", {})
    assert keep(part, "ab" * 32, "damaged", {})
    root = store.spool.root
    assert {root, root / "quarantine", root / "quarantine" / "damaged"} <= set(synced)
