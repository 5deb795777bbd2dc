"""From acknowledged instances to a sealed batch, whatever S3 does meanwhile."""

import gzip
import hashlib
import io
import json
import logging
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct, eventually

from isocenter.core.batch import parse_manifest
from isocenter.storescp import metrics
from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.dimse.service import StoreCommand
from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.reception import Reception
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store import backlog
from isocenter.storescp.upload.drain import Drain
from isocenter.storescp.upload.gate import Gate

PEER = Peer("10.0.0.7", 4711, "CT1", "S3SCP", None)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch):
    monkeypatch.setattr(backlog, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(backlog, "LONGEST_DELAY_S", 0.05)
    monkeypatch.setattr("isocenter.storescp.upload.gate._FIRST_S", 0.02)
    monkeypatch.setattr("isocenter.storescp.upload.gate._LONGEST_S", 0.1)


class Station:
    """Reception and drain of one worker."""

    def __init__(self, settings, uploader):
        self.reception = Reception.build(settings, uploader, 0)
        self.spool = self.reception.spool
        self.batcher = self.reception.batcher
        self.work = self.reception.backlog
        self.drain = Drain(
            self.spool,
            self.batcher,
            self.work,
            uploader,
            threads=2,
            quarantine_bucket=settings.bucket,
            quarantine_prefix=settings.quarantine_prefix,
        )
        self.reception.start()
        self._running = False

    def run(self):
        self.drain.start()
        self._running = True

    def send(self, dataset=None, *, said=None, content=None):
        """One C-STORE; answers the data set."""
        dataset = dataset or ct()
        command = StoreCommand(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=said or str(dataset.SOPInstanceUID),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            calling_ae="CT1",
        )
        sink = self.reception.receiver.open(command, PEER)
        sink.write(memoryview(content or encode(dataset, False, True)))
        sink.finish()
        return dataset

    def stop(self):
        if self._running:
            self.drain.stop(0.3)
        else:
            self.work.close()
        self.spool.release()
        self.reception.index.close()


@pytest.fixture
def make(uploader, tmp_path):
    """Makes stations on one volume, one after the other."""
    made = []

    def station(*, run=True, **changes):
        for earlier in made:
            earlier.stop()
        values = {
            "bucket": "inbox",
            "datastore_id": "0123456789abcdef0123456789abcdef",
            "scp_port": 11112,
            "spool_dir": tmp_path / "spool",
            "spool_min_free_bytes": 0,
            "batch_quiet_s": 60.0,
        }
        made[:] = [Station(StoreScpSettings(**(values | changes)), uploader)]
        if run:
            made[0].run()
        return made[0]

    yield station
    for each in made:
        each.stop()


@pytest.fixture
def keys(sink):
    """Keys in S3, below a prefix."""
    return lambda prefix="": sorted(
        name.removeprefix("inbox/")
        for name in sink.objects()
        if name.startswith(f"inbox/{prefix}")
    )


@pytest.fixture
def sealed(sink, keys):
    """Waits for the one manifest; answers it."""

    def wait():
        [key] = eventually(lambda: keys("batches/"))
        return parse_manifest(sink.get(f"inbox/{key}"), source=key)

    return wait


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


def quarantined(sink, keys, reason):
    """The one entry of a reason: its document and its object's key."""
    [document, data] = sorted(
        eventually(lambda: len(found := keys(f"quarantine/{reason}/")) == 2 and found),
        key=lambda key: not key.endswith(".json"),
    )
    return json.loads(sink.get(f"inbox/{document}")), data


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


def test_what_s3_refuses_for_good_goes_to_quarantine(make, sink, keys, sealed, caplog):
    station = make(run=False)
    kept, refused = station.send(), station.send()
    sink.faults(refused_keys=f"{refused.SOPInstanceUID}.dcm")
    station.run()
    station.batcher.close()
    assert [i.sop_instance_uid for i in sealed().instances] == [kept.SOPInstanceUID]
    record, key = quarantined(sink, keys, "refused-by-store")
    assert record["sopInstanceUid"] == refused.SOPInstanceUID
    assert record["callingAE"] == "CT1"
    assert record["errorCode"] == "InvalidPart"
    read = pydicom.dcmread(io.BytesIO(sink.get(f"inbox/{key}")))
    assert read.SOPInstanceUID == refused.SOPInstanceUID
    assert "it goes to quarantine" in caplog.text
    eventually(lambda: not len(station.work))
    assert not list(station.spool.quarantine.waiting())


def test_a_batch_of_which_nothing_is_left_has_no_manifest(make, sink, keys):
    station = make(run=False)
    refused = station.send()
    sink.faults(refused_keys=f"{refused.SOPInstanceUID}.dcm")
    station.run()
    station.batcher.close()
    quarantined(sink, keys, "refused-by-store")
    eventually(lambda: not station.spool.batches() and not len(station.work))
    assert not keys("batches/")


@pytest.mark.parametrize("at", [200, -20], ids=["header", "pixels"])
def test_a_damaged_file_goes_to_quarantine_as_it_is(make, sink, keys, sealed, at):
    station = make(run=False)
    station.send()
    [batch] = station.spool.batches()
    damaged = next(iter(station.spool.waiting(batch)))
    kept = station.send()
    path = Path(station.spool.path(batch, damaged))
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    station.run()
    station.batcher.close()
    assert [i.sop_instance_uid for i in sealed().instances] == [kept.SOPInstanceUID]
    _, key = quarantined(sink, keys, "damaged")
    assert sink.get(f"inbox/{key}") == content


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


def test_refused_senders_bytes_reach_the_quarantine(make, sink, keys):
    station = make()
    dataset = ct()
    with pytest.raises(StoreRefusedError):
        station.send(dataset, said="1.2.3.4.5")
    record, key = quarantined(sink, keys, "mismatch")
    assert (record["peer"], record["callingAE"]) == ("10.0.0.7", "CT1")
    body = sink.get(f"inbox/{key}")
    assert hashlib.sha256(body).hexdigest() == record["sha256"]
    assert body.endswith(encode(dataset, False, True))
    assert "Doe" not in json.dumps(record)
    assert "4711" not in json.dumps(record)


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


def test_a_quarantine_that_is_full_keeps_no_more_of_refused_senders(make, sink, keys):
    sink.faults(away=True)
    station = make(run=False, quarantine_max_bytes=2000)
    dropped = metrics.QUARANTINED.labels("mismatch", "dropped")
    before = dropped._value.get()
    for _ in range(5):
        with pytest.raises(StoreRefusedError):
            station.send(said="1.2.3.4.5")
    kept = len(list(station.spool.quarantine.waiting()))
    assert 1 <= kept < 5
    assert dropped._value.get() == before + 5 - kept
    assert not list(station.spool.incoming.glob("*.part"))
    sink.faults()
    station.run()
    eventually(lambda: not len(station.work))
    assert len(keys("quarantine/mismatch/")) == 2 * kept
    with pytest.raises(StoreRefusedError):
        station.send(said="1.2.3.4.5")
    eventually(lambda: len(keys("quarantine/mismatch/")) == 2 * (kept + 1))


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


def test_bytes_without_their_record_are_not_dropped(make, sink, keys, tmp_path):
    station = make(run=False)
    part = tmp_path / "x.part"
    part.write_bytes(b"acknowledged")
    sha256 = hashlib.sha256(b"acknowledged").hexdigest()
    station.spool.quarantine.keep(part, sha256, "refused-by-store", {})
    station.spool.quarantine.files("refused-by-store", sha256)[1].unlink()
    station.run()
    record, key = quarantined(sink, keys, "refused-by-store")
    assert sink.get(f"inbox/{key}") == b"acknowledged"
    assert (record["sha256"], record["bytes"]) == (sha256, 12)
    eventually(lambda: not list(station.spool.quarantine.waiting()))
