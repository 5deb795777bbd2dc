"""Searches within one image set, from its own metadata.

HealthImaging documents ``imageSetId`` for retrieving, not for searching: what is
in a non-primary image set is found in its metadata alone. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from isocenter.core.healthimaging.image_set import (
    Attributes,
    ImageSetMetadata,
    Instance,
)
from isocenter.tlm_proxy.dicomweb.attributes import ATTRIBUTES, Attribute, Level

_NUMBERS = frozenset({"IS", "US"})

Rows = list[dict[str, Any]]


def studies(found: ImageSetMetadata) -> Rows:
    """The study of an image set, as far as the image set holds it."""
    modalities = sorted(
        {
            str(each["Modality"])
            for each in found.series.values()
            if each.get("Modality")
        }
    )
    return [
        {
            **_elements("study", {**found.patient, **found.study}),
            **_element("00080061", "CS", modalities),
            **_element("00201206", "IS", len(found.series)),
            **_element("00201208", "IS", len(found.instances)),
        }
    ]


def series(found: ImageSetMetadata) -> Rows:
    """The series of an image set."""
    counts: dict[str, int] = {}
    for instance in found.instances:
        uid = instance.series_instance_uid
        counts[uid] = counts.get(uid, 0) + 1
    return [
        {
            **_elements("study", {**found.patient, **found.study}),
            **_elements("series", attributes),
            **_element("0020000E", "UI", uid),
            **_element("00201209", "IS", counts.get(uid, 0)),
        }
        for uid, attributes in found.series.items()
    ]


def instances(found: ImageSetMetadata, series_uid: str) -> Rows:
    """The instances of one series of an image set."""
    return [
        {
            **_elements("study", {**found.patient, **found.study}),
            **_elements("series", found.series.get(series_uid, {})),
            **_elements("instance", instance.dicom),
            **_uids(instance),
        }
        for instance in found.instances
        if instance.series_instance_uid == series_uid
    ]


def study_uid(found: ImageSetMetadata) -> str:
    """Its Study Instance UID; "" if it has none."""
    return str(found.study.get("StudyInstanceUID") or "").strip(" \0")


def _uids(instance: Instance) -> dict[str, Any]:
    return {
        **_element("0020000E", "UI", instance.series_instance_uid),
        **_element("00080018", "UI", instance.sop_instance_uid),
    }


def _elements(level: Level, dicom: Attributes) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for attribute in _of_level(level):
        if attribute.keyword in dicom:
            merged |= _element(attribute.tag, attribute.vr, dicom[attribute.keyword])
    return merged


def _of_level(level: Level) -> Iterator[Attribute]:
    return (each for each in ATTRIBUTES if each.level == level)


def _element(tag: str, vr: str, value: Any) -> Mapping[str, Any]:
    """One attribute in the DICOM JSON model (PS3.18 F.2); without a value if empty."""
    parts = value if isinstance(value, list) else [value]
    values = [_value(vr, part) for part in parts if part not in (None, "")]
    known = [each for each in values if each is not None]
    return {tag: {"vr": vr, "Value": known} if known else {"vr": vr}}


def _value(vr: str, value: Any) -> Any:
    text = str(value).strip(" \0")
    if vr == "PN":
        groups = zip(
            ("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False
        )
        return {name: group for name, group in groups if group} or None
    if vr in _NUMBERS:
        try:
            return int(float(text))
        except (ValueError, OverflowError):
            return None
    return text or None
