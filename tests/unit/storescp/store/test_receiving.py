"""From a request's bytes to an instance that may be acknowledged."""

import hashlib
import json
import threading
import time

import pytest
from pynetdicom.dsutils import encode
from support.instances import ct

from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.store.watermark import Limits


def files(store, pattern="b*/*.dcm"):
    return sorted(store.spool.root.glob(pattern))


def test_an_instance_is_a_file_whose_name_says_all(store):
    dataset = ct(uid="1.2.3.4")
    outcome = store.send(dataset, calling_ae="CT ROOM 1")
    (file,) = files(store)
    content = file.read_bytes()
    assert content.endswith(encode(dataset, False, True))
    assert outcome.status is StoreStatus.SUCCESS
    assert outcome.bytes == len(content) == store.spool.usage.bytes
    uid, sha256, ae = file.stem.split("~")
    assert (uid, bytes.fromhex(ae)) == ("1.2.3.4", b"CT ROOM 1")
    assert sha256 == hashlib.sha256(content).hexdigest()
    instance = store.spool.instance(file.parent.name, file.stem)
    assert (
        instance.key == outcome.fields["key"] == f"DICOM/{file.parent.name}/1.2.3.4.dcm"
    )
    assert instance.series_instance_uid == "1.2.3.4.5"
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert not list(store.spool.incoming.glob("*.part"))


def test_equal_instances_of_two_senders_are_one_object(store):
    dataset = ct(uid="1.2.3.4")
    first = store.send(dataset, calling_ae="CT1", pieces=7)
    again = store.send(dataset, calling_ae="CT2", pieces=4096)
    assert first.bytes
    assert (again.status, again.bytes) == (StoreStatus.SUCCESS, 0)
    assert len(files(store)) == 1
    assert store.spool.usage.bytes == first.bytes


def test_an_instance_that_s3_has_is_a_duplicate_for_the_next_process(make_store):
    store = make_store()
    store.send(ct(uid="1.2.3.4"))
    store.batcher.close()
    store.drain()
    store.close()
    later = make_store(objects=store.objects)
    assert later.send(ct(uid="1.2.3.4")).bytes == 0
    assert later.objects.asked == 1
    assert not files(later)


@pytest.mark.parametrize("away", [True, False])
def test_what_cant_be_found_in_s3_is_stored_again(make_store, away):
    store = make_store()
    store.send(ct(uid="1.2.3.4"))
    store.batcher.close()
    store.drain()
    store.objects.objects.clear()
    store.objects.away = away
    assert store.send(ct(uid="1.2.3.4")).bytes
    assert len(files(store)) == 1


def test_while_s3_does_not_answer_it_is_not_asked_for_each_instance(store, instances):
    sent = [next(instances) for _ in range(3)]
    for dataset in sent:
        store.send(dataset)
    store.batcher.close()
    store.drain()
    store.objects.away = True
    for dataset in sent:
        assert store.send(dataset).bytes
    assert store.objects.asked == 1


def test_other_bytes_of_a_uid_are_kept_under_their_hash(store):
    store.send(ct(uid="1.2.3.4", seed=1))
    other = store.send(ct(uid="1.2.3.4", seed=2))
    again = store.send(ct(uid="1.2.3.4", seed=2))
    third = store.send(ct(uid="1.2.3.4", seed=3))
    assert again.bytes == 0
    keys = {store.spool.instance(f.parent.name, f.stem).key for f in files(store)}
    assert len(keys) == 3
    assert {other.fields["key"], third.fields["key"]} < keys
    digest = next(f for f in files(store) if "-" in f.stem.split("~")[0]).stem
    stem, sha256, _ = digest.split("~")
    assert stem == f"1.2.3.4-{sha256[:16]}"
    store.batcher.close()
    (listed,) = store.drain().values()
    assert {instance.key for instance in listed} == keys


def test_other_bytes_are_noticed_across_batches(store):
    store.send(ct(uid="1.2.3.4", seed=1))
    store.batcher.close()
    store.drain()
    key = store.send(ct(uid="1.2.3.4", seed=2)).fields["key"]
    assert "/1.2.3.4-" in key


@pytest.mark.parametrize("durability", ["spool", "object_store"])
def test_the_index_knows_when_an_instance_came_before_its_row_is_written(
    make_store, monkeypatch, durability
):
    store, recorded = make_store(durability=durability), []
    monkeypatch.setattr(store.index, "record", recorded.append)
    before = time.time()
    store.send(ct(uid="1.2.3.4"))
    (known,) = recorded
    assert before - 1 <= known.time <= time.time()


def test_without_an_index_a_batch_never_has_two_of_one_key(store, monkeypatch):
    monkeypatch.setattr(store.index, "find", lambda _uid: [])
    store.send(ct(uid="1.2.3.4", seed=1))
    assert "/1.2.3.4-" in store.send(ct(uid="1.2.3.4", seed=2)).fields["key"]
    assert store.send(ct(uid="1.2.3.4", seed=2)).bytes == 0


def test_the_same_instance_by_many_at_once_is_stored_once(store):
    outcomes = []
    senders = [
        threading.Thread(target=lambda: outcomes.append(store.send(ct(uid="1.2.3.4"))))
        for _ in range(8)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(bool(outcome.bytes) for outcome in outcomes) == [False] * 7 + [True]
    assert len(files(store)) == 1


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        ({"sop_instance_uid": "../../etc"}, 0x0117, "bad-uid"),
        ({"sop_instance_uid": "Doe^Jane\xff"}, 0x0117, "bad-uid"),
        ({"sop_instance_uid": "9" * 65}, 0x0117, "bad-uid"),
        ({"sop_instance_uid": "1.2.9"}, 0xA900, "mismatch"),
        ({"sop_class_uid": "1.2.9"}, 0xA900, "mismatch"),
        ({"sop_class_uid": "Doe^Jane"}, 0xA900, "mismatch"),
    ],
)
def test_what_is_not_storable_goes_to_quarantine(store, command, status, reason):
    dataset = ct(uid="1.2.3.4")
    with pytest.raises(StoreRefusedError) as refused:
        store.send(dataset, **command)
    assert refused.value.status == status
    ((found, sha256),) = store.spool.quarantine.waiting()
    assert found == reason
    file, record = store.spool.quarantine.files(found, sha256)
    assert file.read_bytes().endswith(encode(dataset, False, True))
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    said = json.loads(record.read_text())
    assert said["bytes"] == file.stat().st_size == store.spool.usage.bytes
    assert said["reason"] == reason
    assert "Doe" not in record.read_text()
    task = store.backlog.take()
    assert (task.kind, task.batch, task.name) == ("quarantine", reason, sha256)
    assert not files(store)
    store.spool.quarantine.remove(reason, sha256)
    assert store.spool.usage.bytes == 0


def test_the_same_bytes_again_are_one_file_in_quarantine(store):
    for _ in range(3):
        with pytest.raises(StoreRefusedError):
            store.send(ct(uid="1.2.3.4"), sop_instance_uid="1.2.9")
    assert len(list(store.spool.quarantine.waiting())) == 1
    assert len(store.backlog) == 1
    (file,) = files(store, "quarantine/*/*.dcm")
    assert store.spool.usage.bytes == file.stat().st_size


def test_a_full_quarantine_is_told_once_and_not_for_each_instance(store, caplog):
    store.spool.quarantine.max_bytes = 0
    for number in range(5):
        with pytest.raises(StoreRefusedError):
            store.send(ct(uid=f"1.2.3.{number}"), sop_instance_uid="1.2.9")
    lines = [r for r in caplog.records if "quarantine is full" in r.message]
    assert len(lines) == 1
    assert not list(store.spool.quarantine.waiting())


def test_garbage_goes_to_quarantine_and_nothing_at_all_does_not(store):
    sink = store.begin(ct(uid="1.2.3.4"))
    sink.write(memoryview(b"\x08\x00\x16\x00 this is no data set"))
    with pytest.raises(StoreRefusedError) as refused:
        sink.finish()
    assert refused.value.status is StoreStatus.CANNOT_UNDERSTAND
    empty = store.begin(ct(uid="1.2.3.4"))
    with pytest.raises(StoreRefusedError):
        empty.finish()
    assert [reason for reason, _ in store.spool.quarantine.waiting()] == [
        "not-understood"
    ]


def test_nothing_is_left_of_an_abandoned_instance(store):
    sink = store.begin(ct())
    sink.write(memoryview(b"x" * 5000))
    sink.abandon()
    assert not list(store.spool.incoming.glob("*.part"))
    assert store.spool.usage.bytes == 0


def test_nothing_is_left_of_what_a_file_held_before(make_store):
    store = make_store(limits=BatchLimits(quiet_s=60, max_age_s=60))
    store.send(ct(uid="1.2.3.1", rows=64))
    (first,) = files(store)
    inode = first.stat().st_ino
    store.drain()
    smaller = ct(uid="1.2.3.2", rows=8)
    store.send(smaller)
    (second,) = files(store)
    assert second.stat().st_ino == inode
    assert second.read_bytes().endswith(encode(smaller, False, True))
    assert hashlib.sha256(second.read_bytes()).hexdigest() in second.name


@pytest.mark.parametrize("failing", ["fsync", "fdatasync", "rename"])
def test_a_failing_volume_keeps_nothing(store, monkeypatch, failing):
    store.send(ct(uid="1.2.3.1"))
    before = store.spool.usage.bytes

    def fail(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(f"os.{failing}", fail)
        with pytest.raises(OSError, match="No space"):
            store.send(ct(uid="1.2.3.2"))
    assert len(files(store)) == 1
    assert not list(store.spool.incoming.glob("*.part"))
    assert store.spool.usage.bytes == before
    assert store.send(ct(uid="1.2.3.2")).bytes


def test_a_full_volume_refuses_and_recovers(make_store):
    store = make_store(room=Limits(max_bytes=1500))
    assert store.send(ct(uid="1.2.3.1", rows=32)).bytes > 1500
    with pytest.raises(StoreRefusedError) as refused:
        store.send(ct(uid="1.2.3.2"))
    assert refused.value.status is StoreStatus.OUT_OF_RESOURCES
    store.batcher.close()
    store.drain()
    assert store.send(ct(uid="1.2.3.2")).bytes


def test_a_batch_ends_at_its_limits(make_store, instances):
    store = make_store(
        limits=BatchLimits(quiet_s=60, max_age_s=60, max_instances=3, max_bytes=10**6)
    )
    for _ in range(7):
        store.send(next(instances))
    store.batcher.close()
    assert sorted(len(listed) for listed in store.drain().values()) == [1, 3, 3]


class TestObjectStore:
    """Durability ``object_store``: acknowledged by S3."""

    @pytest.fixture
    def store(self, make_store):
        return make_store(durability="object_store")

    def test_it_is_in_s3_and_in_the_batch_when_it_is_acknowledged(self, store):
        outcome = store.send(ct(uid="1.2.3.4"))
        assert ("inbox", outcome.fields["key"]) in store.objects.objects
        assert not files(store)
        assert store.spool.usage.bytes == 0
        assert not list(store.spool.incoming.glob("*.part"))
        assert store.send(ct(uid="1.2.3.4")).bytes == 0
        store.batcher.close()
        (listed,) = store.drain().values()
        assert [instance.key for instance in listed] == [outcome.fields["key"]]

    def test_without_s3_it_is_refused(self, store):
        store.objects.away = True
        with pytest.raises(StoreRefusedError) as refused:
            store.send(ct(uid="1.2.3.4"))
        assert refused.value.status is StoreStatus.OUT_OF_RESOURCES
        store.objects.away = False
        assert store.send(ct(uid="1.2.3.4")).bytes

    def test_a_batch_is_found_again_after_a_kill(self, store, make_store):
        key = store.send(ct(uid="1.2.3.4")).fields["key"]
        store.close()
        later = make_store(durability="object_store", objects=store.objects)
        (listed,) = later.drain().values()
        assert [instance.key for instance in listed] == [key]

    def test_a_note_of_what_s3_did_not_take_is_retracted(self, store):
        kept = store.send(ct(uid="1.2.3.4")).fields["key"]
        store.objects.away = True
        with pytest.raises(StoreRefusedError):
            store.send(ct(uid="1.2.3.5"))
        store.objects.away = False
        [batch] = store.spool.batches()
        assert len(list(store.spool.instances(batch))) == 1
        later = store.send(ct(uid="1.2.3.5")).fields["key"]
        store.batcher.close()
        (listed,) = store.drain().values()
        assert [instance.key for instance in listed] == [kept, later]

    def test_a_note_that_could_not_be_retracted_is_looked_at(self, store, monkeypatch):
        store.objects.away = True
        noting = store.spool.note_early

        def then_full(*noted):
            noting(*noted)
            monkeypatch.setattr("os.fsync", no_space)

        def no_space(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store.spool, "note_early", then_full)
        with pytest.raises(StoreRefusedError):
            store.send(ct(uid="1.2.3.4"))
        monkeypatch.undo()
        store.spool.reserve.hold()
        store.objects.away = False
        store.send(ct(uid="1.2.3.5"))
        store.batcher.close()
        (listed,) = store.drain().values()
        assert [instance.sop_instance_uid for instance in listed] == ["1.2.3.5"]

    def test_a_note_without_its_object_is_left_out_after_a_kill(
        self, store, make_store
    ):
        store.send(ct(uid="1.2.3.4"))
        [batch] = store.spool.batches()
        [(name, instance)] = store.spool.instances(batch)
        other = instance.model_copy(
            update={
                "key": instance.key.replace("1.2.3.4", "1.2.3.5"),
                "sop_instance_uid": "1.2.3.5",
            }
        )
        early = name.replace("1.2.3.4", "1.2.3.5")
        store.spool.note_early(batch, [(early, other)])  # then killed
        store.close()
        later = make_store(durability="object_store", objects=store.objects)
        (listed,) = later.drain().values()
        assert [found.key for found in listed] == [instance.key]
