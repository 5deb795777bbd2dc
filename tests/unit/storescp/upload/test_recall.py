"""Records that are read back from S3."""

import os

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct

from isocenter.core.errors import AwsError
from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.upload.recall import recall

DESTINATION = Destination(
    bucket="inbox", datastore="d", dicom_prefix="DICOM/", batches_prefix="batches/"
)
DATASET = ct(uid="1.2.3")
CONTENT = part10_header(
    sop_class_uid=str(DATASET.SOPClassUID),
    sop_instance_uid="1.2.3",
    transfer_syntax_uid=str(ExplicitVRLittleEndian),
) + encode(DATASET, False, True)


@pytest.fixture
def ask(uploader, tmp_path):
    """Recalls an instance after its object was put, if there is one."""

    def asked(name, content):
        if content is not None:
            key = f"DICOM/b1/{name.removesuffix('.ask')}.dcm"
            uploader.put_document("inbox", key, content)
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1000, 1000))
        (tmp_path / "incoming").mkdir()
        try:
            incoming = tmp_path / "incoming"
            return recall(uploader, DESTINATION, "b1", tmp_path / name, incoming)
        finally:
            assert not list(incoming.iterdir())

    return asked


def test_the_object_tells(ask):
    found = ask("1.2.3.ask", CONTENT)
    assert found.key == "DICOM/b1/1.2.3.dcm"
    assert found.sop_class_uid == DATASET.SOPClassUID
    assert found.series_instance_uid == DATASET.SeriesInstanceUID
    assert found.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (found.bytes, found.calling_ae) == (len(CONTENT), "")
    assert found.received_at.timestamp() == 1000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.2.3.ask", None),
        ("1.2.3.ask", b""),
        ("1.2.3.ask", b"no instance"),
        ("1.2.3.ask", CONTENT[:300]),
        ("1.2.4.ask", CONTENT),  # another one lies there
        ("Doe^Jane.ask", None),
    ],
)
def test_what_is_not_that_instance_tells_nothing(ask, name, content):
    assert ask(name, content) is None


def test_s3_away_is_no_answer(ask, sink):
    sink.faults(away=True)
    with pytest.raises(AwsError):
        ask("1.2.3.ask", None)
