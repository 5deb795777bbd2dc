"""Data sets as DICOM JSON (PS3.18 Annex F), without pixel data.

Values are pydicom's ``to_json``, and thus the sent file's, but for what Annex F
says otherwise: an empty sequence has no ``Value`` and an empty value among
others is null (F.2.5), group lengths and pixel data are left out.

Developer guide, "Getting DICOM bulkdata": a binary value of more than 1 MB is a
``BulkDataURI``.  It is written relative to its instance, ``bulkdata/<hash>``,
as the host is not known before somebody asks (see ``absolute``).

Assumed: the hash is MD5 over the element's place in the data set (AWS shows
that it looks like MD5, not of what); FD and FL that JSON has no number for are
strings; IS and DS that are no numbers are strings (F.2.3 allows them); the
Specific Character Set says what was sent although JSON is UTF-8.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final

from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

__all__ = ["PIXEL_DATA", "Json", "absolute", "bulk_value", "to_dicom_json"]

PIXEL_DATA: Final = frozenset(
    {0x7FE00008, 0x7FE00009, 0x7FE00010, 0x7FE00001, 0x7FE00002}
)
_MAX_INLINE: Final = 1 << 20
_MARK: Final = '"BulkDataURI": "bulkdata/'
_TWO_LETTERS: Final = 2

Json = dict[str, Any]
Place = tuple[str, ...]


def to_dicom_json(ds: Dataset, place: Place = ()) -> Json:
    """A data set's attributes by tag.

    Those that cannot be read are left out; the import has warned of them.
    """
    result: Json = {}
    for name, elem in _elements(ds):
        try:
            result[name] = _element(elem, (*place, name))
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001, S112 - pydicom raises anything on a bad value
            continue
    return result


def bulk_value(ds: Dataset, wanted: str, place: Place = ()) -> bytes | None:
    """The value behind ``bulkdata/<wanted>``, None when there is none."""
    for name, elem in _elements(ds):
        here = (*place, name)
        if elem.VR == "SQ":
            for number, item in enumerate(elem.value):
                found = bulk_value(item, wanted, (*here, str(number)))
                if found is not None:
                    return found
        elif _is_bulk(elem) and _hash(here) == wanted:
            return bytes(elem.value)
    return None


def absolute(text: str, instance_url: str) -> str:
    """DICOM JSON, as json.dumps writes it, with the URLs of its bulk data.

    The mark cannot be part of a value: quotes inside of strings are escaped.
    """
    return text.replace(_MARK, f'"BulkDataURI": "{instance_url}/bulkdata/')


def _elements(ds: Dataset) -> Iterator[tuple[str, DataElement]]:
    for tag in sorted(ds.keys()):
        if tag in PIXEL_DATA or tag.element == 0:
            continue
        try:
            elem = ds[tag]
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001, S112 - pydicom raises anything on a bad value
            continue
        yield f"{tag:08X}", elem


def _element(elem: DataElement, place: Place) -> Json:
    if elem.VR == "SQ":
        items = [
            to_dicom_json(item, (*place, str(number)))
            for number, item in enumerate(elem.value or ())
        ]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    vr = str(elem.VR)
    if len(vr) != _TWO_LETTERS:
        # An ambiguous VR (PS3.6) that the data set does not decide.
        vr = "UN" if isinstance(elem.value, bytes) else vr[:_TWO_LETTERS]
    if _is_bulk(elem):
        return {"vr": vr, "BulkDataURI": f"bulkdata/{_hash(place)}"}
    try:
        result = {**elem.to_json_dict(None, 0), "vr": vr}
    except ValueError:
        if vr not in ("IS", "DS"):
            raise
        values = elem.value if isinstance(elem.value, MultiValue) else [elem.value]
        result = {"vr": vr, "Value": [str(each).strip() for each in values]}
    if "Value" in result:
        values = [_value(each) for each in result["Value"]]
        if all(each is None for each in values):
            del result["Value"]
        else:
            result["Value"] = values
    return result


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: text for name, text in value.items() if text} or None
    return None if value == "" else value


def _is_bulk(elem: DataElement) -> bool:
    return isinstance(elem.value, bytes) and len(elem.value) > _MAX_INLINE


def _hash(place: Place) -> str:
    return hashlib.md5("/".join(place).encode(), usedforsecurity=False).hexdigest()
