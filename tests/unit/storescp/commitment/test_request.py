import contextlib
import random

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.storescp.commitment import references as references_module
from isocenter.storescp.commitment.report import encode
from isocenter.storescp.commitment.request import Reference, parse
from isocenter.storescp.commitment.standard import ActionRefusedError

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_references_are_read_once_each_and_in_order(make, syntax):
    pairs = [(make.CT, "1.2.9"), (make.MR, "1.2.8"), (make.CT, "1.2.9")]
    asked = parse(make.request(pairs, syntax=syntax))
    assert asked.transaction_uid == "1.2.3"
    assert asked.references == (
        Reference(make.CT, "1.2.9"),
        Reference(make.MR, "1.2.8"),
    )


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"sop_class_uid": "1.2.840.10008.1.20.2"}, 0x0118),
        ({"sop_instance_uid": "1.2.3"}, 0x0112),
        ({"action_type_id": 2}, 0x0123),
        ({"information": b"\0" * (4 * 1024 * 1024 + 1)}, 0x0213),
        ({"information": b""}, 0x0115),
        ({"information": b"\x08\x00\x95\x11UI"}, 0x0115),
        ({"pairs": None}, 0x0115),
        ({"pairs": []}, 0x0115),
        ({"transaction_uid": None}, 0x0115),
        ({"transaction_uid": ""}, 0x0115),
        ({"pairs": [("1.2", "")]}, 0x0115),
        ({"pairs": [("1.2", "1.2.4"), ("1.3", "1.2.4")]}, 0x0115),
    ],
)
def test_what_can_not_be_answered_is_refused(make, changed, status):
    with pytest.raises(ActionRefusedError) as refused:
        parse(make.request(**changed))
    assert refused.value.status == status
    assert len(str(refused.value)) <= 64


@pytest.mark.parametrize("value", ["../../etc/passwd", "DOE^JANE", "1..2", "1.2.a"])
def test_what_is_no_uid_is_refused_and_not_repeated(make, value):
    content = make.request([(make.CT, "1.2.3.4.5.6.7.8")]).information
    padded = value.encode().ljust(16, b"\0")
    content = content.replace(b"1.2.3.4.5.6.7.8\0", padded)
    with pytest.raises(ActionRefusedError) as refused:
        parse(make.request(information=content))
    assert refused.value.status == 0x0115
    assert value not in str(refused.value)


def test_more_references_than_the_limit_are_refused(make, monkeypatch):
    monkeypatch.setattr(references_module, "MAX_REFERENCES", 10)
    pairs = [("1.2", f"1.3.{n}") for n in range(11)]
    assert len(parse(make.request(pairs[:10])).references) == 10
    with pytest.raises(ActionRefusedError) as refused:
        parse(make.request(pairs))
    assert refused.value.status == 0x0213


def test_a_sequence_in_place_of_a_uid_is_refused(make):
    dataset = make.information([(make.CT, "1.2.4")])
    del dataset.TransactionUID
    dataset.add_new(0x00081195, "SQ", [Dataset()])
    content = encode(dataset, ExplicitVRLittleEndian)
    with pytest.raises(ActionRefusedError):
        parse(make.request(information=content))


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_data_set_that_breaks_off_is_read_or_refused(make, cut):
    content = make.request([(make.CT, "1.2.4"), (make.MR, "1.2.5")]).information
    found = None
    with contextlib.suppress(ActionRefusedError):
        found = parse(make.request(information=content[: len(content) - cut]))
    if found is not None:
        read = {r.sop_instance_uid for r in found.references}
        assert read <= {"1.2.4", "1.2.5"}
    assert found is not None or cut


UNDEFINED = b"\xff\xff\xff\xff"
ITEM, ITEM_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4)
SEQUENCE_END = b"\xfe\xff\xdd\xe0" + bytes(4)
SEQUENCE = b"\x08\x00\x99\x11SQ\0\0"


def test_undefined_lengths_and_what_lies_between_are_walked_over(make):
    (one,) = [make.request([(make.CT, "1.2.4")]).information]
    uid = one[: one.index(b"\x08\x00\x99\x11")]
    elements = one[one.index(b"\x08\x00\x50\x11") :]
    nested = b"\x08\x00\x52\x11SQ\0\0" + UNDEFINED
    nested += ITEM + UNDEFINED + elements.replace(b"1.2.4", b"9.9.9") + ITEM_END
    nested += ITEM + bytes(4) + SEQUENCE_END
    content = b"\x08\x00\x05\x00CS\x0a\0ISO_IR 192" + uid + SEQUENCE + UNDEFINED
    content += ITEM + UNDEFINED + elements[:38].split(b"\x08\x00\x55\x11")[0]
    content += nested + elements[elements.index(b"\x08\x00\x55\x11") :] + ITEM_END
    content += SEQUENCE_END + b"\x40\x00\x00\xa0LO\x02\0x "
    asked = parse(make.request(information=content))
    assert asked.references == (Reference(make.CT, "1.2.4"),)


@pytest.mark.parametrize(
    "content",
    [
        SEQUENCE + UNDEFINED + (ITEM + bytes(4)) * 500_000,
        (b"\x08\x00\x52\x11SQ\0\0" + UNDEFINED) + (ITEM + bytes(4)) * 500_000,
        b"\x08\x00\x00\x00UL\0\0" * 500_000,
        (b"\x08\x00\x52\x11SQ\0\0" + UNDEFINED + ITEM + UNDEFINED) * 200_000,
    ],
    ids=["references", "items", "elements", "depth"],
)
def test_four_megabytes_of_nothing_are_refused(make, content):
    request = make.request(information=content[: 4 * 1024 * 1024])
    with pytest.raises(ActionRefusedError):
        parse(request)


def test_any_bytes_are_read_or_refused(make):
    chance = random.Random(6)
    good = make.request([(make.CT, f"1.2.{n}") for n in range(5)]).information
    for _ in range(1_000):
        content = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        syntax = chance.choice(SYNTAXES)
        with contextlib.suppress(ActionRefusedError):
            parse(make.request(information=bytes(content), syntax=syntax))
