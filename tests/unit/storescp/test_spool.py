"""Every state that a kill can leave has a next step."""

import datetime as dt
import hashlib
import io
import time

import pytest

from isocenter.core.batch import StoredInstance
from isocenter.core.errors import ConfigurationError
from isocenter.storescp import durable
from isocenter.storescp.spool import Destination, Spool

BATCH = "b20261123t031500000-0a1b"
DESTINATION = Destination(
    bucket="inbox", datastore="d", dicom_prefix="DICOM/", batches_prefix="batches/"
)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool", DESTINATION)
    spool.prepare()
    spool.open_batch(BATCH)
    yield spool
    spool.release()


def keep(spool, uid, content=b"content"):
    part = spool.write_part(b"head", io.BytesIO(content))
    instance = StoredInstance(
        key=f"DICOM/{BATCH}/{uid}.dcm",
        sop_instance_uid=uid,
        sop_class_uid="1.2",
        study_instance_uid="1.3",
        series_instance_uid="1.4",
        transfer_syntax_uid="1.5",
        bytes=part.size,
        sha256=part.sha256,
        calling_ae="SCU",
        received_at=dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
    )
    spool.keep(BATCH, part, instance)
    return instance


def names(spool):
    return sorted(path.name for path in (spool.root / BATCH).iterdir())


def test_a_part_is_header_and_unchanged_bytes(spool):
    content = bytes(range(256)) * 9000  # more than one piece
    part = spool.write_part(b"head", io.BytesIO(content))
    assert part.path.read_bytes() == b"head" + content
    assert part.size == 4 + len(content)
    assert part.sha256 == hashlib.sha256(b"head" + content).hexdigest()
    assert part.data_set_sha256 == hashlib.sha256(content).hexdigest()


def test_a_part_that_fails_leaves_nothing(spool):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        spool.write_part(b"head", Broken())
    assert not list(spool.incoming.iterdir())


def test_the_life_of_an_instance(spool):
    instance = keep(spool, "1.1")
    assert names(spool) == ["1.1.dcm", "1.1.json", "batch.json"]
    assert spool.waiting(BATCH) == ["1.1"]
    assert spool.record(BATCH, "1.1") == instance
    spool.mark_put(BATCH, "1.1")
    assert names(spool) == ["1.1.put.json", "batch.json"]
    assert spool.waiting(BATCH) == []
    assert spool.record(BATCH, "1.1") is None
    assert spool.instances(BATCH) == (instance,)
    spool.fix_manifest(BATCH, b"manifest")
    assert spool.manifest(BATCH) == b"manifest"
    assert spool.instances(BATCH) == (instance,)
    spool.remove(BATCH)
    assert spool.batches() == []


def test_the_record_is_written_after_the_file(spool, monkeypatch):
    def killed(*_):
        raise OSError(28, "No space left on device")

    part = spool.write_part(b"head", io.BytesIO(b"x"))
    monkeypatch.setattr(durable, "write", killed)
    instance = StoredInstance.model_construct(sop_instance_uid="1.1")
    with pytest.raises(OSError, match="space"):
        spool.keep(BATCH, part, instance)
    assert names(spool) == ["batch.json"]


@pytest.mark.parametrize(
    ("left", "after"),
    [
        (["1.1.dcm"], []),  # killed before the record
        (["1.1.dcm", "1.1.json.part"], []),  # killed within the record
        (["1.1.dcm", "1.1.json"], ["1.1.dcm", "1.1.json"]),  # acknowledged
        (["1.1.dcm", "1.1.put.json"], ["1.1.put.json"]),  # killed before the unlink
        (["1.1.put.json"], ["1.1.put.json"]),
    ],
)
def test_what_a_kill_leaves(spool, left, after):
    for name in left:
        (spool.root / BATCH / name).write_bytes(b"")
    spool.remove_unacknowledged(BATCH)
    assert names(spool) == sorted([*after, "batch.json"])


def test_a_kill_while_a_batch_is_removed(spool):
    keep(spool, "1.1")
    spool.mark_put(BATCH, "1.1")
    spool.fix_manifest(BATCH, b"manifest")
    (spool.root / BATCH / "1.1.put.json").unlink()
    assert spool.manifest(BATCH) == b"manifest"
    assert spool.waiting(BATCH) == []
    spool.remove(BATCH)
    assert spool.batches() == []


def test_a_batch_keeps_its_destination(spool):
    changed = Spool(spool.root, DESTINATION.model_copy(update={"bucket": "other"}))
    assert changed.destination_of(BATCH).bucket == "inbox"
    (spool.root / BATCH / "batch.json").unlink()
    assert changed.destination_of(BATCH).bucket == "other"


def test_prepare_removes_what_was_being_received(spool):
    (spool.incoming / "tmp1.dcm").write_bytes(b"half")
    keep(spool, "1.1")
    spool.prepare()
    assert not list(spool.incoming.iterdir())
    assert spool.waiting(BATCH) == ["1.1"]


def test_stale_files_go_fresh_ones_stay(spool):
    (spool.incoming / "old.dcm").write_bytes(b"")
    assert spool.remove_stale(time.time() - 60) == 0
    assert spool.remove_stale(time.time() + 60) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="STORESCP_SPOOL_DIR"):
        Spool(tmp_path / "file" / "spool", DESTINATION).prepare()


def test_other_folders_of_the_volume_are_left_alone(spool):
    (spool.root / "lost+found").mkdir()
    assert spool.batches() == [BATCH]


def test_keys():
    assert DESTINATION.instance_key("b1", "1.2") == "DICOM/b1/1.2.dcm"
    assert DESTINATION.manifest_key("b1") == "batches/b1.json"
    assert DESTINATION.metadata_key("b1", "1.2") is None
    more = DESTINATION.model_copy(update={"metadata_prefix": "metadata/"})
    assert more.metadata_key("b1", "1.2") == "metadata/b1/1.2.json"


def test_a_batch_that_could_not_be_opened_leaves_no_folder(spool, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.open_batch("b20261123t031600000-0a1b")
    assert spool.batches() == [BATCH]
