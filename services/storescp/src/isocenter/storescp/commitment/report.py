"""The report of a transaction as an N-EVENT-REPORT's data set. Pure."""

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ImplicitVRLittleEndian

from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.standard import ALL_COMMITTED, SOME_FAILED


def event_type(failures: Mapping[str, int]) -> int:
    """Event Type ID (0000,1002): 1 if every instance is committed, else 2."""
    return SOME_FAILED if failures else ALL_COMMITTED


def information(
    transaction_uid: str,
    references: Sequence[Reference],
    failures: Mapping[str, int],
) -> Dataset:
    """The report's attributes (PS3.4 table J.3-2).

    Args:
        transaction_uid: of the request.
        references: of the request.
        failures: Failure Reason by SOP Instance UID, of those that are not committed.
    """
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    committed = [r for r in references if r.sop_instance_uid not in failures]
    failed = [r for r in references if r.sop_instance_uid in failures]
    if committed:
        dataset.ReferencedSOPSequence = Items(_item(r) for r in committed)
    if failed:
        dataset.FailedSOPSequence = Items(
            _item(r, failures[r.sop_instance_uid]) for r in failed
        )
    return dataset


def _item(reference: Reference, failure_reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item


def encode(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    """A data set in Implicit or Explicit VR Little Endian (PS3.5 A.1, A.2)."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax_uid == ImplicitVRLittleEndian
    buffer.is_little_endian = True
    write_dataset(buffer, dataset)
    content: bytes = buffer.getvalue()
    return content
