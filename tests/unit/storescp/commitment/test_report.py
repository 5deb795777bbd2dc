import io

import pytest
from pydicom.filereader import read_dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.storescp.commitment.report import encode, event_type, information
from isocenter.storescp.commitment.request import Reference

REFERENCES = (Reference("1.2", "1.2.1"), Reference("1.3", "1.2.2"))


@pytest.mark.parametrize(
    ("failures", "kind", "committed", "failed"),
    [
        ({}, 1, ["1.2.1", "1.2.2"], None),
        ({"1.2.2": 0x0112}, 2, ["1.2.1"], [("1.2.2", 0x0112)]),
        (
            {"1.2.1": 0x0119, "1.2.2": 0x0110},
            2,
            None,
            [("1.2.1", 0x0119), ("1.2.2", 0x0110)],
        ),
    ],
)
def test_each_instance_is_in_one_sequence(failures, kind, committed, failed):
    assert event_type(failures) == kind
    report = information("1.9", REFERENCES, failures)
    assert report.TransactionUID == "1.9"
    said = report.get("ReferencedSOPSequence")
    assert (said and [i.ReferencedSOPInstanceUID for i in said]) == committed
    said = report.get("FailedSOPSequence")
    assert (
        said and [(i.ReferencedSOPInstanceUID, i.FailureReason) for i in said]
    ) == failed


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian],
    ids=lambda uid: uid.name,
)
def test_a_report_is_read_as_it_was_meant(syntax):
    report = information("1.9", REFERENCES, {"1.2.2": 0x0112})
    content = encode(report, syntax)
    assert len(content) % 2 == 0
    read = read_dataset(io.BytesIO(content), syntax == ImplicitVRLittleEndian, True)
    assert read == report
