"""Command sets against pydicom's codec, and nonsense."""

import io
import random
import struct

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode
from support.dimse_sender import command_set

from isocenter.core.errors import MalformedError
from isocenter.storescp.dimse import command as codec
from isocenter.storescp.dimse.command import CommandSet, Element
from isocenter.storescp.dimse.messages import event_report, response
from isocenter.storescp.dimse.service import EventReport


def by_pydicom(encoded):
    return decode(io.BytesIO(encoded), is_implicit_vr=True, is_little_endian=True)


def request(**more):
    dataset = Dataset()
    dataset.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.CommandField = 0x0001
    dataset.MessageID = 65535
    dataset.Priority = 2
    dataset.CommandDataSetType = 0
    dataset.AffectedSOPInstanceUID = "1.2.3"
    for name, value in more.items():
        setattr(dataset, name, value)
    return CommandSet.decode(encode(dataset, True, True))


def test_what_pydicom_encodes_is_read():
    found = request(MoveOriginatorApplicationEntityTitle="MOVER")
    assert found.number(Element.MESSAGE_ID) == 65535
    assert found.uid(Element.AFFECTED_SOP_CLASS) == "1.2.840.10008.5.1.4.1.1.2"
    assert found.uid(Element.AFFECTED_SOP_INSTANCE) == "1.2.3"
    assert found.uid(Element.REQUESTED_SOP_INSTANCE) == ""
    assert found.number(Element.STATUS) is None
    assert found.has_data_set


def test_a_response_is_what_pydicom_reads():
    encoded = response(request(), 0xA900, comment="differs", offending=0x00080018)
    found = by_pydicom(encoded)
    assert found.CommandGroupLength == len(encoded) - 12
    assert found.CommandField == 0x8001
    assert found.MessageIDBeingRespondedTo == 65535
    assert found.CommandDataSetType == 0x0101
    assert found.Status == 0xA900
    assert found.ErrorComment == "differs"
    assert found.OffendingElement == 0x00080018
    assert found.AffectedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert found.AffectedSOPInstanceUID == "1.2.3"


def test_an_action_response_names_what_was_requested():
    dataset = Dataset()
    dataset.RequestedSOPClassUID = "1.2.840.10008.1.20.1"
    dataset.CommandField = 0x0130
    dataset.MessageID = 7
    dataset.CommandDataSetType = 1
    dataset.RequestedSOPInstanceUID = "1.2.840.10008.1.20.1.1"
    dataset.ActionTypeID = 1
    found = by_pydicom(response(CommandSet.decode(encode(dataset, True, True)), 0))
    assert found.CommandField == 0x8130
    assert found.AffectedSOPClassUID == "1.2.840.10008.1.20.1"
    assert found.AffectedSOPInstanceUID == "1.2.840.10008.1.20.1.1"
    assert found.ActionTypeID == 1
    assert "OffendingElement" not in found
    assert "ErrorComment" not in found


def test_an_event_report_is_what_pydicom_reads():
    report = EventReport(3, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", 2, b"")
    found = by_pydicom(event_report(report, 9))
    assert (found.CommandField, found.MessageID, found.EventTypeID) == (0x0100, 9, 2)
    assert found.CommandDataSetType != 0x0101
    assert found.AffectedSOPInstanceUID == "1.2.840.10008.1.20.1.1"


def test_a_uid_too_long_to_be_one_is_not_repeated():
    elements = request().elements | {Element.AFFECTED_SOP_INSTANCE: b"1." * 999}
    encoded = response(CommandSet(elements), 0x0117)
    assert "AffectedSOPInstanceUID" not in by_pydicom(encoded)


WHOLE = command_set({0x0100: 1, 0x0110: 1, 0x0800: 1})
MALFORMED = [
    ("ends within a header", WHOLE[:-7]),
    ("ends within a value", WHOLE[:-1]),
    ("another group", struct.pack("<HHL", 8, 0x18, 0)),
    ("an element twice", WHOLE + WHOLE),
    ("descending", WHOLE + struct.pack("<HHLH", 0, 0x0110, 2, 1)),
    ("length of 4 GiB", struct.pack("<HHL", 0, 0x0100, 0xFFFFFFFF)),
]


@pytest.mark.parametrize(("name", "encoded"), MALFORMED)
def test_what_is_no_command_set_is_malformed(name, encoded):
    with pytest.raises(MalformedError):
        CommandSet.decode(encoded)


def test_numbers_must_be_numbers():
    found = CommandSet({Element.MESSAGE_ID: b"\1\0\0\0"})
    with pytest.raises(MalformedError, match="0110"):
        found.required(Element.MESSAGE_ID)
    with pytest.raises(MalformedError, match=r"0800.*missing"):
        _ = found.has_data_set


def test_random_bytes_are_malformed_or_a_mapping():
    """Seeded; nothing but MalformedError ever leaves the parser."""
    rng = random.Random(20261123)
    parsed = 0
    for _ in range(20_000):
        encoded = bytearray(WHOLE)
        for _ in range(rng.randint(1, 4)):
            encoded[rng.randrange(len(encoded))] = rng.randrange(256)
        try:
            found = CommandSet.decode(encoded[: rng.randint(0, 2 * len(WHOLE))])
            parsed += 1
            _ = found.has_data_set
        except MalformedError:
            continue
    assert parsed > 1000


def test_values_are_padded_to_even_length():
    assert codec.uid(Element.AFFECTED_SOP_CLASS, "1.2") == (2, b"1.2\0")
    assert codec.text(Element.ERROR_COMMENT, "odd") == (0x0902, b"odd ")
