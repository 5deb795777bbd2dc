"""Senders of others to the Store SCP: what they sent lies in S3, byte for byte."""

from io import BytesIO

import pytest
from interop import corpus, senders
from interop.corpus import P10
from pydicom import dcmread
from support.instances import eventually

MODES = ("plain", "tls", "mutual")
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
REPORT = {"small-sr_basic_text"}
"""Its sequences have no lengths; dcmtk, and with it Orthanc, gives them lengths."""
FRAGMENTS = {"small-mr_jpeg_lossless", "small-mr_jpeg_ls", "small-rgb_j2k"}
"""Real compressed images; dicom-rs writes them anew."""


@pytest.fixture
def sent(tmp_path):
    """Files to send, as paths with their transfer syntaxes; and their parts."""
    parts = {}
    for name, content in corpus.files().items():
        path = tmp_path / "files" / f"{name}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        parts[path] = P10.parse(content)
    return parts


@pytest.fixture(params=MODES)
def receiver(request):
    return request.getfixturevalue(request.param)


def _files(sent, syntaxes=None):
    return [
        (path, part.syntax)
        for path, part in sent.items()
        if syntaxes is None or part.syntax in syntaxes
    ]


def _check(receiver, sent, files, *, encoded_anew=(), other_syntax=()):
    """Compare all that was sent with what is in S3.

    Args:
        other_syntax: files that the sender converts to another transfer syntax.
        encoded_anew: files whose data set the sender encodes in another way, such as
            sequences with lengths where there were none: their elements are compared.
    """
    uids = {sent[path].uid for path, _ in files}
    eventually(lambda: uids <= set(receiver.keys()), 20)
    keys = receiver.keys()
    other_bytes = set()
    for path, _ in files:
        part = sent[path]
        stored = P10.parse(receiver.s3.get(keys[part.uid]))
        assert stored.syntax == part.syntax or path.stem in other_syntax, path
        assert stored.content[:128] == bytes(128)
        if stored.data_set != part.data_set:
            other_bytes.add(path.stem)
            ours, theirs = (dcmread(BytesIO(p.content)) for p in (stored, part))
            assert ours == theirs, path
    assert other_bytes <= {*encoded_anew, *other_syntax}


def test_dcmtk_storescu(receiver, sent):
    files = _files(sent, senders.DCMTK_SYNTAXES)
    senders.dcmtk_storescu(receiver, files)
    _check(receiver, sent, files, encoded_anew=REPORT)


def test_dcmtk_dcmsend(plain, sent):
    # It converts what is not compressed to one syntax, and would swap bytes of pixels.
    files = _files(sent, senders.DCMTK_SYNTAXES - {BIG_ENDIAN})
    senders.dcmtk_dcmsend(plain, files)
    converted = {"implicit", "deflated"}
    _check(plain, sent, files, encoded_anew=REPORT, other_syntax=converted)


def test_pynetdicom(receiver, sent):
    files = _files(sent)
    senders.pynetdicom(receiver, files)
    _check(receiver, sent, files)


def test_dicom_rs(receiver, sent):
    # It reads no deflated files.
    files = _files(sent, {part.syntax for part in sent.values()} - {DEFLATED})
    senders.dicom_rs(receiver, files)
    _check(receiver, sent, files, encoded_anew=FRAGMENTS)


def test_orthanc(receiver, sent, tmp_path):
    files = _files(sent, senders.DCMTK_SYNTAXES)
    senders.orthanc(receiver, files, tmp_path)
    _check(receiver, sent, files, encoded_anew=REPORT)


def test_pixelmed(receiver, sent):
    files = _files(sent)
    senders.pixelmed(receiver, files)
    _check(receiver, sent, files)


def test_dcm4che(receiver, sent):
    files = _files(sent)
    senders.dcm4che(receiver, files)
    _check(receiver, sent, files)


def test_a_certificate_of_another_subject_is_refused(mutual, sent):
    files = _files(sent, {"1.2.840.10008.1.2"})
    with pytest.raises(AssertionError, match=r"Rejected|rejected"):
        senders.dcmtk_storescu(mutual, files, stranger=True)
    assert not {sent[path].uid for path, _ in files} & set(mutual.keys())


def test_a_sender_without_certificate_is_refused(mutual, sent):
    files = _files(sent, {"1.2.840.10008.1.2"})
    other = type("Plain", (), {**vars(mutual), "mutual": False})
    with pytest.raises(AssertionError):
        senders.dcmtk_storescu(other, files)
    assert not {sent[path].uid for path, _ in files} & set(mutual.keys())
