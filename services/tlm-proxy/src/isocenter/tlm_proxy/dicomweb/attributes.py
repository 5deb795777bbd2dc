"""The DICOM attributes that searches name, and what HealthImaging says of them.

Keywords and VRs: PS3.6. What may be sent: HealthImaging developer guide, the
tables of SearchDICOMStudies, SearchDICOMSeries and SearchDICOMInstances.
"""

import re
from typing import Literal, NamedTuple

Level = Literal["study", "series", "instance"]


class Attribute(NamedTuple):
    """One attribute; ``tag`` is eight capital hex digits, as in DICOM JSON."""

    tag: str
    keyword: str
    vr: str
    level: Level


STUDY_UID = "0020000D"
SERIES_UID = "0020000E"
SOP_UID = "00080018"
MODALITIES_IN_STUDY = "00080061"
UID_OF: dict[Level, str] = {
    "study": STUDY_UID,
    "series": SERIES_UID,
    "instance": SOP_UID,
}

ATTRIBUTES = tuple(
    Attribute(*row)
    for row in (
        ("00080020", "StudyDate", "DA", "study"),
        ("00080030", "StudyTime", "TM", "study"),
        ("00080050", "AccessionNumber", "SH", "study"),
        ("00080061", "ModalitiesInStudy", "CS", "study"),
        ("00080062", "SOPClassesInStudy", "UI", "study"),
        ("00080090", "ReferringPhysicianName", "PN", "study"),
        ("00081030", "StudyDescription", "LO", "study"),
        ("00100010", "PatientName", "PN", "study"),
        ("00100020", "PatientID", "LO", "study"),
        ("00100021", "IssuerOfPatientID", "LO", "study"),
        ("00100030", "PatientBirthDate", "DA", "study"),
        ("00100040", "PatientSex", "CS", "study"),
        ("0020000D", "StudyInstanceUID", "UI", "study"),
        ("00200010", "StudyID", "SH", "study"),
        ("00201206", "NumberOfStudyRelatedSeries", "IS", "study"),
        ("00201208", "NumberOfStudyRelatedInstances", "IS", "study"),
        ("00080021", "SeriesDate", "DA", "series"),
        ("00080031", "SeriesTime", "TM", "series"),
        ("00080060", "Modality", "CS", "series"),
        ("0008103E", "SeriesDescription", "LO", "series"),
        ("00180015", "BodyPartExamined", "CS", "series"),
        ("0020000E", "SeriesInstanceUID", "UI", "series"),
        ("00200011", "SeriesNumber", "IS", "series"),
        ("00200060", "Laterality", "CS", "series"),
        ("00201209", "NumberOfSeriesRelatedInstances", "IS", "series"),
        ("00080016", "SOPClassUID", "UI", "instance"),
        ("00080018", "SOPInstanceUID", "UI", "instance"),
        ("00200013", "InstanceNumber", "IS", "instance"),
        ("00280008", "NumberOfFrames", "IS", "instance"),
        ("00280010", "Rows", "US", "instance"),
        ("00280011", "Columns", "US", "instance"),
    )
)
"""Attributes that may be named by keyword."""

SEARCHABLE: dict[Level, frozenset[str]] = {
    "study": frozenset(
        {
            "00080020",
            "00080050",
            "00080061",
            "00081030",
            "00100020",
            "00100030",
            "0020000D",
            "00200010",
        }
    ),
    "series": frozenset({"00080060", "0020000E"}),
    "instance": frozenset({"00080016", "00080018"}),
}
"""Keys that are sent to HealthImaging. Of those it documents, names of persons
(00100010, 00080090) and times (00080030) are left out: it doesn't say whether it
ignores case as PS3.4 C.2.2.2.1 allows, nor how it reads ranges of times."""

INCLUDED: dict[Level, tuple[str, ...]] = {
    "study": ("00080061", "00081030", "00100030", "00201206", "00201208"),
    "series": ("0008103E", "00080021", "00080031", "00200011", "00201209"),
    "instance": ("00200013", "00280008", "00280010", "00280011"),
}
"""What OHIF reads and HealthImaging may leave out unless it is asked for."""

_BY_KEYWORD = {each.keyword: each for each in ATTRIBUTES}
_BY_TAG = {each.tag: each for each in ATTRIBUTES}
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def by_tag(tag: str) -> Attribute | None:
    """The attribute of a tag, if it is in the table."""
    return _BY_TAG.get(tag)


def tag_of(name: str) -> str | None:
    """The tag that a tag or keyword names; None for anything else."""
    if _TAG.fullmatch(name):
        return name.upper()
    found = _BY_KEYWORD.get(name)
    return found.tag if found else None
