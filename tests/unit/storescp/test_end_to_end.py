"""Both peers in one process, over real sockets."""

import errno
import io
import json
import re
import socket
import threading

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import _config
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from isocenter.core.batch import parse_manifest
from isocenter.storescp.file_meta import IMPLEMENTATION_CLASS_UID

PRIVATE_SOP_CLASS = "1.2.840.113619.4.26"
HASH_NAME = re.compile(r"[0-9a-f]{64}\.(dcm|json)")
UNKNOWN_SOP_CLASS = "1.2.826.0.1.3680043.10.1.7.7"


def test_echo(start, associate):
    assoc = associate(start(), contexts=[(Verification, None)])
    assert assoc.send_c_echo().Status == 0x0000


def test_other_services_are_not_accepted(start, associate):
    assoc = associate(
        start(),
        contexts=[
            (Verification, None),
            (StudyRootQueryRetrieveInformationModelFind, None),
        ],
    )
    assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == [Verification]


def test_storage_commitment_that_is_off_is_not_accepted(start, associate, tmp_path):
    contexts = [(Verification, None), (StorageCommitmentPushModel, None)]
    assoc = associate(start(commitment="off"), contexts=contexts)
    assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == [Verification]
    assoc = associate(start(spool_dir=tmp_path / "on"), contexts=contexts)
    assert len(assoc.accepted_contexts) == 2


def test_from_store_to_manifest(start, associate, s3, helpers):
    process = start()
    sent = [helpers.ct(seed=n) for n in range(3)]
    assoc = associate(process)
    for dataset in sent:
        assert assoc.send_c_store(dataset).Status == 0x0000
    assoc.release()
    helpers.eventually(lambda: len(s3.keys("DICOM/")) == 3)
    assert not s3.keys("batches/")
    process.reception.batcher.close()
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    manifest = parse_manifest(s3.objects["inbox", key], source=key)
    assert manifest.datastore == helpers.datastore
    assert s3.puts[-1] == key
    assert [i.sop_instance_uid for i in manifest.instances] == [
        d.SOPInstanceUID for d in sent
    ]
    for instance, dataset in zip(manifest.instances, sent, strict=True):
        assert instance.key == f"DICOM/{manifest.batch}/{instance.sop_instance_uid}.dcm"
        stored = s3.objects["inbox", instance.key]
        assert helpers.p10_data_set(stored) == helpers.encoded(dataset)
        assert instance.bytes == len(stored)
        assert instance.calling_ae == "SCU"
        assert instance.transfer_syntax_uid == ExplicitVRLittleEndian
        assert instance.study_instance_uid == "1.2.3.4"
        assert instance.series_instance_uid == "1.2.3.4.5"
    assert "secret-4711" not in json.dumps(json.loads(s3.objects["inbox", key]))
    helpers.eventually(lambda: not process.reception.spool.batches())
    assert not list(process.reception.spool.incoming.glob("*.part"))


def test_the_file_is_part_10_with_our_file_meta(start, associate, s3, helpers):
    process = start()
    dataset = helpers.ct()
    assert associate(process).send_c_store(dataset).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    content = s3.objects["inbox", key]
    assert content[:132] == bytes(128) + b"DICM"
    meta = pydicom.dcmread(io.BytesIO(content)).file_meta
    assert meta.MediaStorageSOPClassUID == CTImageStorage
    assert meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    # Equal instances make equal files, whoever sends them.
    assert "SourceApplicationEntityTitle" not in meta


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_the_data_sets_bytes_are_kept_in_every_syntax(
    start, associate, s3, helpers, syntax, tmp_path, monkeypatch
):
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    process = start()
    dataset = helpers.ct()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = tmp_path / "sent.dcm"
    dataset.PixelData = bytes(512)
    dataset.save_as(file, enforce_file_format=True)
    assoc = associate(process, contexts=[(CTImageStorage, syntax)])
    assert assoc.send_c_store(file).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    sent = helpers.p10_data_set(file.read_bytes())
    assert helpers.p10_data_set(s3.objects["inbox", key]) == sent


@pytest.mark.parametrize(
    "name",
    ["mr_jpeg_lossless", "mr_jpeg_ls", "rgb_j2k", "sr_basic_text", "utf8_name"],
)
def test_real_instances(start, associate, s3, helpers, name, monkeypatch):
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    process = start()
    file = helpers.data / f"{name}.dcm"
    meta = pydicom.dcmread(file, stop_before_pixels=True).file_meta
    assoc = associate(
        process, contexts=[(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)]
    )
    assert assoc.send_c_store(file).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    sent = helpers.p10_data_set(file.read_bytes())
    assert helpers.p10_data_set(s3.objects["inbox", key]) == sent


@pytest.mark.parametrize("sop_class", [PRIVATE_SOP_CLASS, UNKNOWN_SOP_CLASS])
def test_private_and_unknown_sop_classes(start, associate, s3, helpers, sop_class):
    assoc = associate(start(), contexts=[(sop_class, None)])
    dataset = helpers.ct(SOPClassUID=sop_class)
    assert assoc.send_c_store(dataset).Status == 0x0000
    helpers.eventually(lambda: s3.keys("DICOM/"))


REFUSED = [
    # change of the data set, status, words of the error comment
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, 0xA900, "SOP Class UID"),
    ({"SOPInstanceUID": "1.2.3.999"}, 0xA900, "SOP Instance UID"),
    ({"StudyInstanceUID": ""}, 0xC000, "Study Instance UID (0020,000D) is missing"),
    ({"SeriesInstanceUID": "a.b"}, 0xC000, "Series Instance UID (0020,000E) is not"),
]


@pytest.mark.parametrize(("change", "status", "comment"), REFUSED)
def test_a_bad_instance_is_refused_and_the_next_is_taken(
    start, associate, s3, helpers, change, status, comment
):
    process = start()
    assoc = associate(process)
    answer = _send_raw(assoc, helpers.encoded(helpers.ct(uid="1.2.3.1", **change)))
    assert answer.Status == status
    assert comment in answer.ErrorComment
    assert "secret" not in answer.ErrorComment
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    helpers.eventually(lambda: len(s3.keys("DICOM/")) == 1)
    assert not list(process.reception.spool.incoming.glob("*.part"))


def test_an_instance_of_another_class_than_its_context_is_dropped(
    start, associate, s3, helpers
):
    process = start()
    assoc = associate(process)
    mr = "1.2.840.10008.5.1.4.1.1.4"
    data_set = helpers.encoded(helpers.ct(uid="1.2.3.1", SOPClassUID=mr))
    answer = _send_raw(assoc, data_set, sop_class=mr)
    assert answer.Status == 0x0122
    assert "presentation context" in answer.ErrorComment
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    helpers.eventually(lambda: len(s3.keys("DICOM/")) == 1)
    assert not s3.keys("quarantine/")
    assert not list(process.reception.spool.incoming.glob("*.part"))


def _send_raw(assoc, data_set, *, uid="1.2.3.1", sop_class=CTImageStorage):
    """A C-STORE whose command and data set need not fit."""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class
    request.AffectedSOPInstanceUID = uid
    request.Priority = 2
    if data_set is not None:
        request.DataSet = io.BytesIO(data_set)
    context = assoc.accepted_contexts[0].context_id
    assoc._reactor_checkpoint.clear()
    while not assoc._is_paused:
        pass
    assoc.dimse.send_msg(request, context)
    _, answer = assoc.dimse.get_msg(block=True)
    assoc._reactor_checkpoint.set()
    return answer


@pytest.mark.parametrize(
    ("data_set", "status"),
    [
        (None, 0xC000),
        (b"this is not DICOM at all, but some text", 0xC000),
        (bytes(range(256)) * 40, 0xC000),
        (b"\x08\x00", 0xC000),
    ],
)
def test_bytes_that_are_no_data_set(start, associate, helpers, data_set, status):
    process = start()
    assoc = associate(process)
    assert _send_raw(assoc, data_set).Status == status
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000


@pytest.mark.parametrize("uid", ["../../escape", "1.2.3/..", "1..2", ".json", "1.2 3"])
def test_a_command_uid_that_is_no_uid_never_becomes_a_path(
    caplog, start, associate, helpers, uid, tmp_path
):
    process = start()
    assoc = associate(process)
    data_set = helpers.encoded(helpers.ct(uid=uid))
    before = set(tmp_path.rglob("*"))
    answer = _send_raw(assoc, data_set, uid=uid)
    assert answer.Status == 0x0117
    quarantine = process.reception.spool.root / "quarantine"
    for new in set(tmp_path.rglob("*")) - before:
        assert new.is_relative_to(quarantine)
        assert new.is_dir() or HASH_NAME.fullmatch(new.name)
    (record,) = [r for r in caplog.records if r.message == "instance not stored"]
    assert record.sop_instance_uid == "not a UID"


def test_a_full_volume_is_out_of_resources(start, associate, helpers):
    process = start(spool_min_free_bytes=2**60)
    answer = associate(process).send_c_store(helpers.ct())
    assert answer.Status == 0xA700
    assert "nearly full" in answer.ErrorComment
    assert process.ready() == "the spool volume is nearly full"
    assert not process.reception.spool.batches()


def test_no_space_while_writing_is_out_of_resources(
    start, associate, helpers, monkeypatch
):
    process = start()
    assoc = associate(process)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(process.reception.spool, "keep", full)
        assert assoc.send_c_store(helpers.ct()).Status == 0xA700
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000


def test_an_unforeseen_error_keeps_nothing(start, associate, helpers, monkeypatch):
    process = start()
    assoc = associate(process)

    def broken(*_args):
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr(process.reception.spool, "keep", broken)
    answer = assoc.send_c_store(helpers.ct())
    assert answer.Status == 0x0110
    assert "Doe" not in answer.ErrorComment
    assert not list(process.reception.spool.incoming.glob("*.part"))


def test_no_network_log_holds_patient_data(start, associate, helpers, caplog):
    process = start()
    with caplog.at_level("DEBUG"):
        assoc = associate(process)
        assert assoc.send_c_store(helpers.ct()).Status == 0x0000
        assoc.release()
        process.stop()
    assert "instance stored" in caplog.text
    assert "secret-4711" not in caplog.text
    assert "Doe" not in caplog.text


def test_a_peer_that_only_connects_leaves_nothing_behind(start, associate, helpers):
    process = start(maximum_associations=1)
    for _ in range(3):
        socket.create_connection(("127.0.0.1", process.settings.scp_port)).close()
    # The last of them may just be coming in.
    helpers.eventually(lambda: associate(process).is_established)


def test_an_aborted_association_keeps_only_what_was_acknowledged(
    start, associate, s3, helpers
):
    process = start()
    assoc = associate(process)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    assoc.abort()
    assert associate(process).send_c_store(helpers.ct()).Status == 0x0000
    helpers.eventually(lambda: len(s3.keys("DICOM/")) == 2)


def test_associations_share_a_batch(start, associate, s3, helpers):
    process = start()
    assocs = [associate(process) for _ in range(4)]
    answers = []

    def send(assoc):
        for _ in range(5):
            answers.append(assoc.send_c_store(helpers.ct()).Status)  # noqa: PERF401 - one by one

    threads = [threading.Thread(target=send, args=[a]) for a in assocs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0x0000] * 20
    process.reception.batcher.close()
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    manifest = parse_manifest(s3.objects["inbox", key], source=key)
    assert len(manifest.instances) == 20
