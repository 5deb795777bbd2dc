r"""DICOM attributes as HealthImaging's image set metadata (SchemaVersion 1.1).

The form follows metadata seen live from the service:

- keys are PS3.6 keywords, private and unknown tags eight hex digits with their
  VR in ``DICOMVRs``; group 0002 stands with the instance;
- IS and DS are strings exactly as stored, padding included (``"1 "``); other
  text is without its padding; US, SS and their kin are numbers;
- an attribute whose dictionary multiplicity is more than one is a list even
  for one value (``"WindowCenter": ["40"]``); empty is null;
- SQ is a list of objects, bytes are base64.

Assumed, since nothing public shows it: repeating groups (60xx) go by hex
digits, FD and FL that JSON has no number for are strings, binary values over
1 MiB are left out (the real service turns them into bulk data), and the Pixel
Data of an Icon Image Sequence is left out (documented as unsupported).
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VM, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue

from isocenter.devcloud.healthimaging.attribute_levels import Level, level_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

__all__ = ["SCHEMA_VERSION", "InstanceMetadata", "describe", "document"]

SCHEMA_VERSION: Final = "1.1"
_MAX_BINARY: Final = 1 << 20
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010, 0x7FE00001, 0x7FE00002})
_VERBATIM: Final = frozenset({"IS", "DS"})
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
_META_GROUP: Final = 0x0002

Json = dict[str, Any]


@dataclass
class InstanceMetadata:
    """One instance's attributes, by level.

    ``vrs`` holds the VRs of the tags that the dictionary does not have,
    ``discarded`` the tags whose values could not be read.
    """

    levels: dict[Level, Json] = field(
        default_factory=lambda: {
            "Patient": {},
            "Study": {},
            "Series": {},
            "Instance": {},
        }
    )
    vrs: dict[str, str] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)


def describe(ds: Dataset) -> InstanceMetadata:
    """Every attribute of a P10 data set but its pixels, by level."""
    found = InstanceMetadata()
    instance = found.levels["Instance"]
    instance.update(_object(ds.file_meta, found))
    for key, value in _object(ds, found).items():
        found.levels[level_of(key)][key] = value
    return found


def document(
    datastore_id: str,
    image_set_id: str,
    levels: dict[Level, Json],
    series_instance_uid: str,
    instances: Iterable[tuple[str, str]],
) -> Iterator[str]:
    """The metadata document of an image set, in pieces of text.

    ``instances`` gives each SOP Instance UID with its ready JSON object, so
    that no more than one instance is in memory at a time.
    """
    head = json.dumps(
        {
            "SchemaVersion": SCHEMA_VERSION,
            "DatastoreID": datastore_id,
            "ImageSetID": image_set_id,
            "Patient": {"DICOM": _sorted(levels["Patient"])},
        }
    )
    yield head[:-1] + ', "Study": {"DICOM": '
    yield json.dumps(_sorted(levels["Study"])) + ', "Series": {'
    yield json.dumps(series_instance_uid) + ': {"DICOM": '
    yield json.dumps(_sorted(levels["Series"])) + ', "Instances": {'
    separator = ""
    for sop_instance_uid, text in instances:
        yield f"{separator}{json.dumps(sop_instance_uid)}: {text}"
        separator = ", "
    yield "}}}}}"


def _sorted(attributes: Json) -> Json:
    return dict(sorted(attributes.items()))


def _object(ds: Dataset, found: InstanceMetadata) -> Json:
    result: Json = {}
    for tag in sorted(ds.keys()):
        if tag in _PIXELS or (tag.element == 0 and tag.group != _META_GROUP):
            continue
        try:
            # The raw bytes are taken before pydicom parses them in place.
            raw = ds.get_item(tag)
            stored = raw.value if isinstance(raw, RawDataElement) else None
            elem = ds[tag]
            value = _value(elem, stored, found)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - pydicom raises anything on a bad value
            found.discarded.append(f"{tag.group:04X}{tag.element:04X}")
            continue
        if value is _LEFT_OUT:
            continue
        key, known = _key(tag)
        if not known:
            found.vrs[key] = str(elem.VR)
        result[key] = value
    return result


def _key(tag: BaseTag) -> tuple[str, bool]:
    if not tag.is_private and dictionary_has_tag(tag):
        keyword = keyword_for_tag(tag)
        if keyword:
            return keyword, True
    return f"{tag.group:04X}{tag.element:04X}", False


_LEFT_OUT: Final = object()


def _value(elem: DataElement, stored: bytes | None, found: InstanceMetadata) -> Any:
    if elem.VR == "SQ":
        return [_object(item, found) for item in elem.value or ()] or None
    if elem.VR in _VERBATIM and stored:
        values: list[Any] = stored.rstrip(b"\0").decode("latin-1").split("\\")
    elif elem.VR in _BYTES and isinstance(elem.value, bytes):
        if len(elem.value) > _MAX_BINARY:
            return _LEFT_OUT
        values = [base64.b64encode(elem.value).decode("ascii")] if elem.value else []
    else:
        values = [_item(item, elem.VR) for item in _items(elem.value)]
    if not any(value not in (None, "") for value in values):
        return None
    if len(values) > 1 or _is_multiple(elem.tag):
        return values
    return values[0]


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _item(value: Any, vr: str) -> Any:
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in _VERBATIM:
        return str(getattr(value, "original_string", None) or value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value).rstrip(" \0")


def _is_multiple(tag: BaseTag) -> bool:
    if tag.is_private or not dictionary_has_tag(tag):
        return False
    return str(dictionary_VM(tag)) != "1"
