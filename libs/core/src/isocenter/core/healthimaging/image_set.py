"""Image set metadata as HealthImaging writes it. Pure.

Source: HealthImaging developer guide, "Understanding image sets" (SchemaVersion
1.1). Traps: most values are strings, padded as stored in DICOM; empty is null;
the checksum list may have one entry per resolution or only the last one;
FrameSizeInBytes is not the decoded size.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import MalformedError

HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
"""What HealthImaging stores when StoredTransferSyntaxUID is absent."""

Attributes = Mapping[str, Any]
"""DICOM attributes by keyword; see ``text``, ``number`` and ``numbers``."""


@dataclass(frozen=True)
class Frame:
    """One image frame; ``crc32`` is unsigned, None where none is recorded."""

    id: str
    crc32: int | None


@dataclass(frozen=True)
class Instance:
    """One SOP instance of an image set."""

    sop_instance_uid: str
    series_instance_uid: str
    dicom: Attributes
    stored_transfer_syntax: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class ImageSetMetadata:
    """Patient-, study- and series-level attributes and all instances."""

    datastore_id: str
    image_set_id: str
    patient: Attributes
    study: Attributes
    series: Mapping[str, Attributes]
    instances: tuple[Instance, ...]


def text(dicom: Attributes, keyword: str) -> str | None:
    """A single value as stripped text; the first of many; None when empty."""
    value = dicom.get(keyword)
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        return None
    stripped = str(value).strip(" \0")
    return stripped or None


def number(dicom: Attributes, keyword: str) -> float | None:
    """A single numeric value (IS, DS, US, ...); None when empty or not a number."""
    value = text(dicom, keyword)
    return None if value is None else _finite(value)


def numbers(dicom: Attributes, keyword: str) -> tuple[float, ...] | None:
    r"""All values of a numeric attribute, as a list or joined by backslashes."""
    value = dicom.get(keyword)
    if isinstance(value, str):
        value = value.split("\\")
    if value is None:
        return None
    parts = value if isinstance(value, list) else [value]
    found = [_finite(str(part).strip(" \0")) for part in parts]
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else None


def _finite(written: str) -> float | None:
    """The number that is written; "nan" and "1e999" are none (PS3.5 6.2, DS)."""
    try:
        value = float(written)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_metadata(document: Mapping[str, Any]) -> ImageSetMetadata:
    """Read the inflated, decoded metadata document.

    Raises:
        MalformedError: naming the member that is missing or of another shape.
    """
    try:
        study = document["Study"]
        series = study["Series"]
        return ImageSetMetadata(
            datastore_id=str(document["DatastoreID"]),
            image_set_id=str(document["ImageSetID"]),
            patient=_attributes(document["Patient"]),
            study=_attributes(study),
            series={uid: _attributes(entry) for uid, entry in series.items()},
            instances=tuple(_instances(series)),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise MalformedError(
            f"image set metadata has no usable member {error}"
        ) from error


def _instances(series: Mapping[str, Any]) -> Iterator[Instance]:
    for series_uid, entry in series.items():
        for sop_uid, instance in entry.get("Instances", {}).items():
            yield Instance(
                sop_instance_uid=sop_uid,
                series_instance_uid=series_uid,
                dicom=_attributes(instance),
                stored_transfer_syntax=str(
                    instance.get("StoredTransferSyntaxUID") or HTJ2K_LOSSLESS_RPCL
                ).strip(" \0"),
                frames=tuple(_frame(f) for f in instance.get("ImageFrames") or ()),
            )


def _attributes(level: Mapping[str, Any]) -> Attributes:
    dicom: Attributes = level["DICOM"]
    if not isinstance(dicom, Mapping):
        raise TypeError("DICOM, which is no object")
    return dicom


def _frame(entry: Mapping[str, Any]) -> Frame:
    checksums = entry.get("PixelDataChecksumFromBaseToFullResolution") or ()
    # The last entry is full resolution, whether or not the others are listed.
    crc32 = int(checksums[-1]["Checksum"]) if checksums else None
    return Frame(id=str(entry["ID"]), crc32=crc32)
