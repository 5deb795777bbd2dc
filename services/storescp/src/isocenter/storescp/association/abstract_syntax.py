"""Which abstract syntaxes are accepted, and in what roles. Pure.

PS3.6 Annex A registers SOP classes; pydicom and pynetdicom know an edition of it each.
A storage class that is newer than both is told by the root that all of them share.
"""

from enum import Enum

from pydicom.uid import UID_dictionary
from pynetdicom import sop_class

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT_PUSH = "1.2.840.10008.1.20.1"

_DICOM_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_STORAGE = frozenset(sop_class._STORAGE_CLASSES.values())  # noqa: SLF001 - pynetdicom's table has no public name
_NO_PATIENT = frozenset(
    [
        *sop_class._NON_PATIENT_OBJECT_CLASSES.values(),  # noqa: SLF001 - as above
        *sop_class._MEDIA_STORAGE_CLASSES.values(),  # noqa: SLF001 - as above
    ]
)
"""Storage of objects that belong to no study (PS3.4 Annex GG), and of media's folders:
HealthImaging has no place for them."""
_SOP_CLASS_KINDS = frozenset({"SOP Class", "Meta SOP Class"})


class Service(Enum):
    """What an abstract syntax is accepted for."""

    STORAGE = "storage"
    VERIFICATION = "verification"
    COMMITMENT = "storage commitment"


def service_of(uid: str, *, private: bool) -> Service | None:
    """What is done on a context of this abstract syntax; None: nothing.

    Args:
        uid: the abstract syntax.
        private: whether UIDs outside DICOM's root are taken for storage.
    """
    if uid == VERIFICATION:
        return Service.VERIFICATION
    if uid == STORAGE_COMMITMENT_PUSH:
        return Service.COMMITMENT
    if not uid.startswith(_DICOM_ROOT):
        return Service.STORAGE if private else None
    return Service.STORAGE if _is_storage(uid) else None


def _is_storage(uid: str) -> bool:
    if uid in _NO_PATIENT:
        return False
    if uid in _STORAGE:
        return True
    name, kind, *_ = UID_dictionary.get(uid, ("", ""))
    if kind:
        return (
            kind in _SOP_CLASS_KINDS and "Storage" in name and "Commitment" not in name
        )
    registered = sop_class.uid_to_service_class(uid) is not sop_class.ServiceClass
    return uid.startswith(_STORAGE_ROOT) and not registered
