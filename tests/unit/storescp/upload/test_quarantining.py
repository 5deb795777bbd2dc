"""What S3 does not take, or must not: to quarantine, and from there to S3."""

import hashlib
import io
import json
from pathlib import Path

import pydicom
import pytest
from pynetdicom.dsutils import encode
from support.instances import ct, eventually

from isocenter.storescp import metrics
from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.names import SpoolName


def quarantined(sink, keys, reason):
    """The one entry of a reason: its document and its object's key."""
    [document, data] = sorted(
        eventually(lambda: len(found := keys(f"quarantine/{reason}/")) == 2 and found),
        key=lambda key: not key.endswith(".json"),
    )
    return json.loads(sink.get(f"inbox/{document}")), data


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


def test_a_damaged_instance_that_is_sent_again_is_no_duplicate(make, keys, sealed):
    station = make(run=False)
    dataset = station.send()
    [batch] = station.spool.batches()
    [name] = station.spool.waiting(batch)
    path = Path(station.spool.path(batch, name))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    station.run()
    known = SpoolName.parse(name)
    eventually(lambda: not station.batcher.has(known.sop_instance_uid, known.sha256))
    station.send(dataset)  # while the batch is open
    station.batcher.close()
    [instance] = sealed().instances
    assert instance.sop_instance_uid == dataset.SOPInstanceUID
    assert keys("DICOM/") == [instance.key]


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
