"""From acknowledged instances to a sealed batch, whatever S3 does meanwhile."""

import gzip
import hashlib
import json
import logging
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct, eventually

from isocenter.storescp import metrics
from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.names import SpoolName
from isocenter.storescp.upload.gate import Gate


def test_what_is_received_is_in_s3_and_named_by_the_manifest(make, sink, sealed):
    station = make()
    sent = [station.send() for _ in range(5)]
    station.batcher.close()
    manifest = sealed()
    assert {i.sop_instance_uid for i in manifest.instances} == {
        dataset.SOPInstanceUID for dataset in sent
    }
    objects = sink.objects()
    for instance in manifest.instances:
        assert objects[f"inbox/{instance.key}"] == (instance.bytes, instance.sha256)
    eventually(lambda: not station.spool.batches() and not len(station.work))


def test_s3_may_be_away_for_a_while(make, sink, sealed, caplog):
    sink.faults(away=True)
    station = make()
    for _ in range(12):
        station.send()
    station.batcher.close()
    with caplog.at_level(logging.INFO):
        eventually(lambda: station.drain._gate.failures > 8)
        sink.faults()
        assert len(sealed().instances) == 12
    assert "S3 takes objects again" in caplog.text


def test_a_bad_s3_loses_and_alters_nothing(make, sink, sealed):
    station = make()
    station.send()
    sink.faults(share_503=0.1, share_torn=0.1, only_puts=True)
    sent = [station.send() for _ in range(30)]
    station.batcher.close()
    manifest = eventually(lambda: sink.faults() or sealed(), 15)
    assert len(manifest.instances) == len(sent) + 1
    objects = sink.objects()
    assert all(
        objects[f"inbox/{i.key}"] == (i.bytes, i.sha256) for i in manifest.instances
    )


def test_a_repeated_manifest_has_the_same_bytes(make, sink, keys, sealed, monkeypatch):
    """A kill between the manifest's PUT and the folder's removal."""
    station = make(run=False)
    station.send()
    monkeypatch.setattr(
        station.spool, "remove", lambda _: (_ for _ in ()).throw(OSError(5, "killed"))
    )
    station.run()
    station.batcher.close()
    sealed()
    [key] = keys("batches/")
    first = sink.get(f"inbox/{key}")
    sink.clear()
    make()
    sealed()
    assert sink.get(f"inbox/{key}") == first


def test_what_was_put_and_not_noted_is_put_again_without_harm(
    make, sink, sealed, monkeypatch
):
    station = make(run=False)
    station.send()
    noted = station.spool.mark_put

    def failing_once(*place):
        monkeypatch.setattr(station.spool, "mark_put", noted)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(station.spool, "mark_put", failing_once)
    station.run()
    station.batcher.close()
    assert len(sealed().instances) == 1
    assert sink.stats()["altered"] == 0


def test_a_lost_file_is_reported_and_holds_nobody_up(make, sealed, caplog):
    station = make(run=False)
    station.send()
    kept = station.send()
    [batch] = station.spool.batches()
    lost = next(
        name
        for name in station.spool.waiting(batch)
        if not name.startswith(str(kept.SOPInstanceUID))
    )
    Path(station.spool.path(batch, lost)).unlink()
    before = metrics.INSTANCES_LOST._value.get()
    station.run()
    station.batcher.close()
    assert [i.sop_instance_uid for i in sealed().instances] == [kept.SOPInstanceUID]
    assert metrics.INSTANCES_LOST._value.get() == before + 1
    assert "have it sent again" in caplog.text


def test_a_lost_instance_that_is_sent_again_is_no_duplicate(make, sealed):
    station = make(run=False)
    lost = station.send()
    [batch] = station.spool.batches()
    [name] = station.spool.waiting(batch)
    Path(station.spool.path(batch, name)).unlink()
    known = SpoolName.parse(name)
    station.run()
    eventually(lambda: not station.batcher.has(known.sop_instance_uid, known.sha256))
    station.send(lost)  # while the batch is open
    station.batcher.close()
    assert [i.sop_instance_uid for i in sealed().instances] == [lost.SOPInstanceUID]


EARLIER_BATCH = "b20261101t120000000-0a1b"


@pytest.fixture
def earlier(tmp_path, sink):
    """A batch as the version before left it, but for its record; answers the object."""
    folder = tmp_path / "spool" / EARLIER_BATCH
    folder.mkdir(parents=True)
    document = {
        "bucket": "inbox",
        "datastore": "0123456789abcdef0123456789abcdef",
        "dicom_prefix": "DICOM/",
        "batches_prefix": "batches/",
    }
    (folder / "batch.json").write_text(json.dumps(document))
    (folder / "1.2.3.put.json").write_bytes(b'{"sopInst')
    return part10_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
    ) + encode(ct(uid="1.2.3"), False, True)


def test_a_damaged_record_leaves_no_object_out_of_the_manifest(
    make, uploader, sealed, keys, earlier, tmp_path
):
    key = f"DICOM/{EARLIER_BATCH}/1.2.3.dcm"
    uploader.put_document("inbox", key, earlier)
    make()
    (instance,) = sealed().instances
    assert (instance.key, instance.sop_instance_uid) == (key, "1.2.3")
    assert instance.sha256 == hashlib.sha256(earlier).hexdigest()
    eventually(lambda: not list((tmp_path / "spool" / "w0").glob("b2*")))
    assert not list((tmp_path / "spool" / "w0" / "incoming").glob("*.part"))


def test_what_s3_does_not_have_either_is_lost(make, keys, earlier, tmp_path, caplog):
    lost = metrics.INSTANCES_LOST._value.get()
    make()
    eventually(lambda: not list((tmp_path / "spool" / "w0").glob("b2*")))
    assert metrics.INSTANCES_LOST._value.get() == lost + 1
    assert not keys("batches/")
    assert "have it sent again" in caplog.text


def test_denied_is_not_refused(make, sink, sealed):
    """A role that was taken away may come back: nothing is given up for that."""
    sink.faults(forbidden=True)
    station = make()
    station.send()
    [batch] = station.spool.batches()
    eventually(lambda: station.drain._gate.failures > 6, 10)
    assert list(station.spool.waiting(batch))
    sink.faults()
    station.batcher.close()
    assert len(sealed().instances) == 1


def test_metadata_if_asked_for(make, sink, keys):
    station = make(create_metadata=True)
    dataset = station.send(ct(rows=64))
    [key] = eventually(lambda: keys("DICOM/"))
    [document] = keys("metadata/")
    assert document == key.replace("DICOM/", "metadata/").replace(".dcm", ".json")
    members = json.loads(sink.get(f"inbox/{document}"))
    assert members["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert "7FE00010" not in members
    assert pydicom.Dataset.from_json(members).PatientName == dataset.PatientName


def test_compressed_objects_are_described_as_they_lie_in_s3(make, sink, keys, sealed):
    station = make(gzip_files=True, imported=False, create_metadata=True)
    dataset = station.send(ct(rows=64))
    station.batcher.close()
    [instance] = sealed().instances
    assert instance.key.endswith(f"{dataset.SOPInstanceUID}.dcm.gz")
    body = sink.get(f"inbox/{instance.key}")
    assert (len(body), hashlib.sha256(body).hexdigest()) == (
        instance.bytes,
        instance.sha256,
    )
    assert gzip.decompress(body).endswith(encode(dataset, False, True))
    [document] = keys("metadata/")
    assert document.endswith(".json.gz")
    json.loads(gzip.decompress(sink.get(f"inbox/{document}")))
    assert not list(station.spool.incoming.glob("*.part"))


def test_an_object_store_has_it_before_the_answer(make, keys, sealed):
    station = make(run=False, durability="object_store")
    dataset = station.send()
    [key] = keys("DICOM/")
    assert dataset.SOPInstanceUID in key
    station.run()
    station.batcher.close()
    assert [i.key for i in sealed().instances] == [key]


def test_an_object_store_that_is_away_is_no_success(make, sink, keys):
    station = make(run=False, durability="object_store")
    station.send()
    sink.faults(away=True)
    with pytest.raises(StoreRefusedError, match="object store"):
        station.send()
    sink.faults()
    assert len(keys("DICOM/")) == 1


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize(
    ("patience", "failures", "expected"),
    [(2, 2, 0.0), (2, 3, 0.02), (2, 5, 0.04), (2, 7, 0.08), (2, 60, 0.1)],
)
def test_the_gate_closes_for_longer_and_longer(patience, failures, expected):
    gate = Gate(patience)
    for _ in range(failures):
        delay = gate.failed(100.0)
    assert delay == pytest.approx(expected)
    assert gate.wait_s(100.0) == pytest.approx(expected)
    assert gate.wait_s(200.0) == 0.0
    assert gate.succeeded() == (failures > patience)
    assert gate.wait_s(100.0) == 0.0


def test_a_task_put_back_may_be_anothers_at_once(make, monkeypatch):
    station = make(run=False)
    station.send()
    task, retaken = station.work.take(), []
    put_back = station.work.put_back

    def and_taken_again(task):
        delay = put_back(task)
        station.work.hurry()
        retaken.append(station.work.take())
        return delay

    monkeypatch.setattr(station.work, "put_back", and_taken_again)
    station.drain._noted(task, OSError(5, "Input/output error"))
    assert retaken == [task.again()]
    assert not station.work.wait_empty(0)  # another thread is at it
    assert len(station.work) == 1


def test_a_batch_is_not_removed_with_an_instance_that_s3_lacks(make, sealed):
    """Whatever was counted: what is in the folder was acknowledged."""
    station = make(run=False)
    sent = [station.send() for _ in range(2)]
    for _ in sent:
        task = station.work.take()
        station.batcher.put_done(task.batch)
        station.work.done(task)
    station.batcher.close()
    station.run()
    assert {i.sop_instance_uid for i in sealed().instances} == {
        dataset.SOPInstanceUID for dataset in sent
    }
    eventually(lambda: not station.spool.batches())


def test_an_object_is_named_once_by_its_manifest(make, sealed):
    """Its note failed, seemingly; then another station sent the same instance."""
    station = make(run=False, durability="object_store")
    station.send()
    [batch] = station.spool.batches()
    [(name, instance)] = station.spool.instances(batch)
    station.spool.note_put(batch, [(name + "41", instance)])
    station.run()
    station.batcher.close()
    assert [i.key for i in sealed().instances] == [instance.key]
