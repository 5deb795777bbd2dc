"""Which abstract syntaxes are storage, by the registries of pydicom and pynetdicom."""

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom import sop_class

from isocenter.storescp.association.abstract_syntax import Service, service_of

KNOWN = [
    ("1.2.840.10008.1.1", Service.VERIFICATION),
    ("1.2.840.10008.1.20.1", Service.COMMITMENT),
    ("1.2.840.10008.5.1.4.1.1.2", Service.STORAGE),
    ("1.2.840.10008.5.1.4.1.1.5", Service.STORAGE),  # retired
    ("1.2.840.10008.5.1.4.34.7", Service.STORAGE),  # not under the storage root
    ("1.2.840.10008.5.1.4.1.1.66.8", Service.STORAGE),  # in one registry only
    ("1.2.840.10008.5.1.4.1.1.999.1", Service.STORAGE),  # newer than both
    ("1.2.840.113619.4.26", Service.STORAGE),
    ("1.2.840.10008.1.20.2", None),  # commitment by pull
    ("1.2.840.10008.5.1.4.31", None),  # worklist
    ("1.2.840.10008.5.1.4.1.2.2.1", None),  # query
    ("1.2.840.10008.5.1.4.1.1.200.4", None),  # query under the storage root
    ("1.2.840.10008.5.1.4.1.1.201.5", None),  # inventory creation
    ("1.2.840.10008.5.1.4.38.1", None),  # hanging protocol: of no patient
    ("1.2.840.10008.1.3.10", None),  # DICOMDIR
    ("1.2.840.10008.1.2.1", None),  # a transfer syntax
    ("1.2.840.10008.9.9.9", None),  # of DICOM, but unheard of
]


@pytest.mark.parametrize(("uid", "service"), KNOWN)
def test_services(uid, service):
    assert service_of(uid, private=True) is service


def test_private_classes_by_setting():
    assert service_of("1.2.840.113619.4.26", private=False) is None


def test_every_storage_class_of_pynetdicom_is_one():
    for uid in sop_class._STORAGE_CLASSES.values():
        assert service_of(uid, private=False) is Service.STORAGE, uid


def test_nothing_registered_is_storage_unless_its_name_says_so():
    for uid, (name, kind, *_) in UID_dictionary.items():
        if service_of(uid, private=False) is Service.STORAGE:
            assert "Storage" in name, uid
            assert kind == "SOP Class", uid
