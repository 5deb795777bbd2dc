import contextlib
import io
import struct
import tracemalloc
import zlib

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.storescp.identify import identify, identify_start, is_uid
from isocenter.storescp.status import StoreRefusedError, StoreStatus

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def raw(tag, vr, value, *, length=None):
    """One element, Explicit VR Little Endian."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"OB", b"SQ", b"UN", b"UT"):
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def uids(**changes):
    values = {"a": CT, "b": "1.2.3", "c": "1.2.4", "d": "1.2.5"} | changes
    tags = {"a": 0x00080016, "b": 0x00080018, "c": 0x0020000D, "d": 0x0020000E}
    return {tag: values[name].encode() for name, tag in tags.items()}


def data_set(*between, **changes):
    """The four UIDs, with elements between groups 0008 and 0020."""
    texts = uids(**changes)
    elements = [raw(tag, b"UI", text) for tag, text in texts.items()]
    return b"".join([*elements[:2], *between, *elements[2:]])


def run(content, syntax=ExplicitVRLittleEndian):
    """What the whole data set says; its start must say the same, or nothing."""
    start = outcome(lambda: identify_start(content[:4096], syntax))
    assert start in (None, outcome(lambda: identify(io.BytesIO(content), syntax)))
    return identify(io.BytesIO(content), syntax)


def outcome(find):
    try:
        return find()
    except StoreRefusedError as error:
        return str(error)


def refused(content, syntax=ExplicitVRLittleEndian):
    with pytest.raises(StoreRefusedError) as caught:
        run(content, syntax)
    assert caught.value.status is StoreStatus.CANNOT_UNDERSTAND
    assert len(str(caught.value)) <= 64
    return str(caught.value)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_every_encoding_with_sequences_before(helpers, syntax, undefined):
    item = Dataset()
    item.ReferencedSOPInstanceUID = "9.9"
    inner = Dataset()
    inner.CodeValue = "X"
    item.PurposeOfReferenceCodeSequence = Sequence([inner])
    dataset = helpers.ct(uid="1.2.3", SourceImageSequence=Sequence([item, item]))
    for part in (dataset, item):
        for element in part:
            element.is_undefined_length = undefined and element.VR == "SQ"
    item.is_undefined_length_sequence_item = undefined
    dataset.PixelData = bytes(512)
    identity = run(helpers.encoded(dataset, syntax), syntax)
    assert identity.sop_class_uid == CT
    assert identity.sop_instance_uid == "1.2.3"
    assert identity.study_instance_uid == "1.2.3.4"
    assert identity.series_instance_uid == "1.2.3.4.5"


def test_agrees_with_pydicom_on_real_files(helpers):
    files = [f for f in helpers.data.glob("*.dcm") if "missing" not in f.name]
    assert files
    for file in files:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        content = helpers.p10_data_set(file.read_bytes())
        identity = run(content, dataset.file_meta.TransferSyntaxUID)
        assert identity.sop_instance_uid == dataset.SOPInstanceUID
        assert identity.series_instance_uid == dataset.SeriesInstanceUID


def test_a_real_file_without_study(helpers):
    content = helpers.p10_data_set(
        (helpers.data / "missing_study_uid.dcm").read_bytes()
    )
    assert "Study Instance UID (0020,000D) is missing" in refused(content)


def test_the_first_element_decides_about_vr(helpers):
    implicit = helpers.encoded(helpers.ct(uid="1.2.3"), ImplicitVRLittleEndian)
    assert run(implicit, ExplicitVRLittleEndian).sop_instance_uid == "1.2.3"
    explicit = helpers.encoded(helpers.ct(uid="1.2.3"), ExplicitVRLittleEndian)
    assert run(explicit, ImplicitVRLittleEndian).sop_instance_uid == "1.2.3"


def test_unknown_transfer_syntax_is_walked_as_little_endian():
    assert run(data_set(), "1.2.840.113619.5.999").sop_instance_uid == "1.2.3"


def test_deflated():
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data_set()) + packer.flush()
    assert run(packed, DeflatedExplicitVRLittleEndian).sop_instance_uid == "1.2.3"
    assert "damaged" in refused(b"\xff" * 100, DeflatedExplicitVRLittleEndian)
    assert "ends within" in refused(packed[:10], DeflatedExplicitVRLittleEndian)


def test_a_deflate_bomb_ends():
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = raw(0x00080001, b"UN", b"", length=0xFFFFFFF0)
    zeros = bytes(1024 * 1024)
    packed = packer.compress(start)
    packed += b"".join(packer.compress(zeros) for _ in range(80)) + packer.flush()
    assert "64 MiB" in refused(packed, DeflatedExplicitVRLittleEndian)


SKIPPED = [
    raw(0x00090010, b"UN", b"\xfe\xff\x00\xe0\x02\x00\x00\x00ab"
        b"\xfe\xff\xdd\xe0\x00\x00\x00\x00", length=0xFFFFFFFF),
    # UN of undefined length: its items are Implicit VR (PS3.5 6.2.2)
    raw(0x00090010, b"UN", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        b"\x08\x00\x60\x00\x02\x00\x00\x00CT"
        b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
        b"\xfe\xff\xdd\xe0\x00\x00\x00\x00", length=0xFFFFFFFF),
    raw(0x00091010, b"LO", b"private "),
    b"\x09\x00\x11\x10\x04\x00\x00\x00abcd",  # an element that has no VR
]  # fmt: skip


@pytest.mark.parametrize("element", SKIPPED)
def test_skipped_elements(element):
    assert run(data_set(element)).series_instance_uid == "1.2.5"


def nested(depth):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = struct.pack("<HH2sHL", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF)
    return (sequence + item) * depth


BROKEN = [
    (b"", "SOP Class UID (0008,0016) is missing"),
    (data_set(a=""), "SOP Class UID (0008,0016) is missing"),
    (data_set(b="1.2.x"), "SOP Instance UID (0008,0018) is not a UID"),
    (data_set(c="1." * 40), "Study Instance UID (0020,000D) is not a UID"),
    (data_set(c="1." * 32), "Study Instance UID (0020,000D) is not a UID"),
    (data_set()[:-2], "the data set ends within (0020,000E)"),
    (data_set()[:20], "the data set ends within (0008,0016)"),
    (raw(0x00080016, b"UI", b"", length=0xFFFF), "is not a UID"),
    (data_set(raw(0x00091001, b"OB", b"xxxxyyyy", length=0xFFFFFFFF)), "no item"),
    (raw(0x00080005, b"SQ", b"", length=0xFFFFFFFF), "ends within (0008,0005)"),
    (data_set(nested(100)), "nested too deeply"),
    (data_set(nested(3)), "ends within"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN)
def test_what_is_not_understood(content, words):
    assert words in refused(content)


def test_memory_does_not_grow_with_the_instance(tmp_path):
    file = tmp_path / "large"
    large = raw(0x00091001, b"OB", b"", length=2**30)
    whole = data_set(large)
    middle = whole.index(large) + len(large)
    with file.open("wb") as out:
        out.write(whole[:middle])
        out.seek(2**30, 1)
        out.write(whole[middle:])
    tracemalloc.start()
    try:
        with file.open("rb") as content:
            identity = identify(content, ExplicitVRLittleEndian)
        assert identity.series_instance_uid == "1.2.5"
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_a_file_of_zeros_ends():
    assert "100,000 elements" in refused(bytes(2_000_000))


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1.2.840.10008.1.2", True),
        ("1.02.3", True),  # scanners write it
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("1.", False),
        (".1", False),
        ("1..2", False),
        ("1/2", False),
        ("1.2\n", False),
        ("\u0661.2", False),  # digits, but not ASCII
    ],
)
def test_is_uid(text, valid):
    assert is_uid(text) == valid


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_start_is_enough_for_an_ordinary_data_set(helpers, syntax):
    content = helpers.encoded(helpers.ct(uid="1.2.3.4"), syntax)
    assert identify_start(content[:4096], syntax) == run(content, syntax)


@given(
    at=st.integers(0, 180),
    change=st.binary(min_size=1, max_size=12),
    end=st.integers(0, 400),
    syntax=st.sampled_from(SYNTAXES),
)
def test_the_start_never_says_anything_else(at, change, end, syntax):
    sequence = raw(0x00081110, b"SQ", b"\xfe\xff\x00\xe0\0\0\0\0")
    content = data_set(raw(0x00080060, b"CS", b"CT"), sequence)
    content = content[:at] + change + content[at + len(change) :]
    with contextlib.suppress(StoreRefusedError):
        run(content[:end], syntax)
