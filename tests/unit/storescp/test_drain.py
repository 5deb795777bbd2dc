import io
import json
import logging

import pydicom
import pytest
from botocore.exceptions import ClientError

from isocenter.core.batch import parse_manifest
from isocenter.storescp import metrics, work
from isocenter.storescp.metadata import metadata_json


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch):
    monkeypatch.setattr(work, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(work, "LONGEST_DELAY_S", 0.05)


def failure(code, status=500):
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "PutObject",
    )


def test_s3_may_be_away_for_a_while(start, associate, s3, helpers):
    s3.away = True
    process = start()
    assoc = associate(process)
    for _ in range(3):
        assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    process.batcher.close()
    helpers.eventually(lambda: len(process.work) == 3)
    assert process.ready() is None  # instances are safe on the volume
    s3.away = False
    helpers.eventually(lambda: s3.keys("batches/"))
    assert len(s3.keys("DICOM/")) == 3
    helpers.eventually(lambda: not process.spool.batches())


def test_the_manifest_waits_for_the_last_instance(start, associate, s3, helpers):
    process = start(upload_threads=1)
    s3.fail_next = [failure("InternalError")] * 3
    assoc = associate(process)
    for _ in range(4):
        assoc.send_c_store(helpers.ct())
    process.batcher.close()
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    assert s3.puts[-1] == key
    assert len(s3.puts) == 5


def test_a_repeated_manifest_has_the_same_bytes(start, associate, s3, helpers):
    """A kill between the manifest's PUT and the folder's removal."""
    process = start()
    associate(process).send_c_store(helpers.ct())
    helpers.eventually(lambda: s3.keys("DICOM/"))
    [batch] = process.spool.batches()
    removed = process.spool.remove
    process.spool.remove = lambda _batch: (_ for _ in ()).throw(OSError(5, "killed"))
    process.batcher.close()
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    first = s3.objects["inbox", key]
    del s3.objects["inbox", key]
    process.spool.remove = removed
    helpers.eventually(lambda: s3.keys("batches/"))
    assert s3.objects["inbox", key] == first
    assert parse_manifest(first, source=key).batch == batch


def test_a_put_that_could_not_be_noted_is_not_put_twice(
    start, associate, s3, helpers, monkeypatch
):
    process = start()
    mark_put = process.spool.mark_put

    def noted_but_failing(batch, uid):
        mark_put(batch, uid)
        monkeypatch.setattr(process.spool, "mark_put", mark_put)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(process.spool, "mark_put", noted_but_failing)
    associate(process).send_c_store(helpers.ct())
    helpers.eventually(lambda: s3.keys("DICOM/"))
    process.batcher.close()
    helpers.eventually(lambda: s3.keys("batches/"))
    assert len(s3.puts) == 2


def test_a_lost_file_is_reported_and_holds_nobody_up(
    start, associate, s3, helpers, caplog
):
    s3.away = True
    process = start()
    assoc = associate(process)
    lost, kept = helpers.ct(), helpers.ct()
    assoc.send_c_store(lost)
    assoc.send_c_store(kept)
    [batch] = process.spool.batches()
    process.spool.instance_path(batch, lost.SOPInstanceUID).unlink()
    process.batcher.close()
    before = metrics.INSTANCES_LOST._value.get()
    with caplog.at_level(logging.ERROR):
        s3.away = False
        [key] = helpers.eventually(lambda: s3.keys("batches/"))
    manifest = parse_manifest(s3.objects["inbox", key], source=key)
    assert [i.sop_instance_uid for i in manifest.instances] == [kept.SOPInstanceUID]
    assert metrics.INSTANCES_LOST._value.get() == before + 1
    assert "have it sent again" in caplog.text


def test_large_files_go_in_parts(start, associate, s3, helpers):
    process = start(multipart_bytes=5 * 1024 * 1024)
    dataset = helpers.ct()
    dataset.PixelData = bytes(6 * 1024 * 1024)
    assert associate(process).send_c_store(dataset).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    assert s3.in_parts == [key]


def test_metadata_if_asked_for(start, associate, s3, helpers):
    process = start(create_metadata=True)
    dataset = helpers.ct(rows=64)
    assert associate(process).send_c_store(dataset).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    [document] = s3.keys("metadata/")
    assert document == key.replace("DICOM/", "metadata/").replace(".dcm", ".json")
    members = json.loads(s3.objects["inbox", document])
    assert members["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert "7FE00010" not in members
    read = pydicom.Dataset.from_json(members)
    whole = pydicom.dcmread(io.BytesIO(s3.objects["inbox", key]))
    assert read.PatientName == whole.PatientName


def test_no_metadata_by_default(start, associate, s3, helpers):
    process = start()
    associate(process).send_c_store(helpers.ct())
    helpers.eventually(lambda: s3.keys("DICOM/"))
    assert not s3.keys("metadata/")


@pytest.fixture
def one_in_s3(start, associate, s3, helpers):
    """A process whose open batch has one instance, which S3 has."""

    def make(dataset=None, **settings):
        process = start(**settings)
        associate(process).send_c_store(dataset or helpers.ct())
        helpers.eventually(lambda: s3.keys("DICOM/") and not len(process.work))
        return process

    return make


def test_a_folder_that_is_gone_ends_its_batch(one_in_s3, helpers):
    """The folder was removed, but the volume failed us right after it."""
    process = one_in_s3()
    removed = process.spool.remove

    def removed_but_failing(batch):
        removed(batch)
        process.spool.remove = removed
        raise OSError(5, "Input/output error")

    process.spool.remove = removed_but_failing
    process.batcher.close()
    helpers.eventually(lambda: not len(process.work))
    assert process.batcher._batches == {}


def test_a_record_that_is_gone_holds_nobody_up(start, associate, s3, helpers):
    s3.away = True
    process = start()
    assoc = associate(process)
    lost, kept = helpers.ct(), helpers.ct()
    assoc.send_c_store(lost)
    assoc.send_c_store(kept)
    [batch] = process.spool.batches()
    process.spool.mark_lost(batch, lost.SOPInstanceUID)
    process.batcher.close()
    s3.away = False
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    manifest = parse_manifest(s3.objects["inbox", key], source=key)
    assert [i.sop_instance_uid for i in manifest.instances] == [kept.SOPInstanceUID]


def test_a_batch_that_s3_refuses_for_good_holds_no_other(
    start, associate, s3, helpers, monkeypatch
):
    process = start(upload_threads=1)
    put = s3.put_object
    refused = []

    def refuse_the_first(**request):
        refused.append(request["Key"])
        if request["Key"] == refused[0]:
            raise failure("AccessDenied", 403)
        put(**request)

    monkeypatch.setattr(s3, "put_object", refuse_the_first)
    assoc = associate(process)
    assoc.send_c_store(helpers.ct())
    process.batcher.close()
    helpers.eventually(lambda: refused)
    assoc.send_c_store(helpers.ct())
    process.batcher.close()
    # The manifest is put first; the folder goes after it.
    helpers.eventually(lambda: len(process.spool.batches()) == 1)
    assert len(s3.keys("batches/")) == 1


def test_no_value_is_logged_and_no_switch_changed_by_metadata(
    one_in_s3, s3, helpers, caplog, recwarn
):
    dataset = helpers.ct()
    dataset.PatientBirthDate = "Doe, 1. Mai"
    dataset.PatientWeight = None
    dataset["PatientWeight"]._value = "Doe kg"
    modes = set()
    to_json = pydicom.DataElement.to_json_dict

    def watched(self, *args, **kwargs):
        modes.add(pydicom.config.settings.reading_validation_mode)
        return to_json(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(pydicom.DataElement, "to_json_dict", watched)
        one_in_s3(dataset, create_metadata=True)
    [document] = s3.keys("metadata/")
    assert "00080060" in json.loads(s3.objects["inbox", document])
    assert "Doe" not in caplog.text
    assert modes == {pydicom.config.IGNORE}
    assert not recwarn.list


@pytest.mark.parametrize("error", [RecursionError(), KeyError("x"), EOFError()])
def test_an_instance_never_waits_for_its_metadata(
    one_in_s3, s3, helpers, monkeypatch, error
):
    def broken(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(pydicom, "dcmread", broken)
    one_in_s3(create_metadata=True)
    assert not s3.keys("metadata/")


def test_nothing_is_inflated_for_metadata(tmp_path):
    assert metadata_json(tmp_path / "not even read", "1.2.840.10008.1.2.1.99") is None
