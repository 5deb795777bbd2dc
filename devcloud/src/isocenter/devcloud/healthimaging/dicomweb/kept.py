"""What an import keeps of an instance for DICOMweb; runs in the worker process.

Beside ``instance.json`` three files stay: ``instance.dcm``, the P10 file as it
came, without its pixel data where that is stored as frames; ``instance.dicom.json``,
its DICOM JSON; ``instance.search.json``, what searches look at.

Developer guide: the Transfer Syntax UID in DICOMweb metadata is the stored one
("Getting DICOM instance metadata"); warnings are searchable as Warning Reason
(0008,1196); an instance whose frames could not be extracted can still be had
as a whole from GetDICOMInstance ("Warning codes").

Assumed: metadata and search results give every instance its own attributes,
also where image set metadata has one value for the series; of the file meta
information DICOM JSON has the Transfer Syntax UID alone.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from pydicom import dcmwrite
from pydicom.dataset import FileDataset

from isocenter.devcloud.healthimaging.dicomweb.attributes import (
    SEARCHED,
    WARNING_REASON,
)
from isocenter.devcloud.healthimaging.dicomweb.dicom_json import (
    PIXEL_DATA,
    to_dicom_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydicom.dataset import Dataset

    from isocenter.devcloud.healthimaging.import_warnings import InstanceWarning
    from isocenter.devcloud.healthimaging.transcode import StoredPixels

__all__ = ["DICOM_JSON", "P10", "SEARCH", "keep", "without_pixels"]

P10: Final = ".dcm"
DICOM_JSON: Final = ".dicom.json"
SEARCH: Final = ".search.json"


def without_pixels(ds: Dataset) -> FileDataset:
    """The data set's elements, raw ones still raw, but its pixel data.

    Call it before anything parses them: raw elements are written as received.
    """
    elements: dict[Any, Any] = {}
    # A Dataset's iterator parses; its keys do not.
    for tag in ds.keys():  # noqa: SIM118 - see above
        if tag in PIXEL_DATA:
            continue
        try:
            elements[tag] = ds.get_item(tag)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001, S112 - unreadable: the import warns of it
            continue
    implicit, little = ds.original_encoding
    return FileDataset(
        "",
        elements,
        preamble=b"\0" * 128,
        file_meta=ds.file_meta,
        is_implicit_VR=bool(implicit),
        is_little_endian=bool(little),
    )


def keep(
    path: Path,
    bare: FileDataset,
    pixels: StoredPixels,
    warnings: Sequence[InstanceWarning],
    directory: Path,
) -> None:
    """Write the three files of the P10 file at ``path`` into ``directory``.

    ``bare`` is the same without pixels (see ``without_pixels``).
    """
    target = directory / f"instance{P10}"
    if pixels.frames and pixels.warning is None:
        _write(path, bare, target)
    else:
        shutil.copyfile(path, target)
    found = to_dicom_json(bare)
    stored = pixels.transfer_syntax_uid or str(bare.file_meta.TransferSyntaxUID)
    found["00020010"] = {"vr": "UI", "Value": [stored]}
    found = dict(sorted(found.items()))
    text = json.dumps(found)
    (directory / f"instance{DICOM_JSON}").write_text(text, encoding="ascii")
    searched = {tag: found[tag] for tag in found if tag in SEARCHED}
    if warnings:
        codes = sorted({warning.reason.value[0] for warning in warnings})
        searched[WARNING_REASON] = {"vr": "US", "Value": codes}
    else:
        searched.pop(WARNING_REASON, None)
    text = json.dumps(searched)
    (directory / f"instance{SEARCH}").write_text(text, encoding="ascii")


def _write(path: Path, bare: FileDataset, target: Path) -> None:
    try:
        dcmwrite(target, bare, enforce_file_format=False)
    except Exception:  # noqa: BLE001 - pydicom raises anything on an odd element
        # The whole file keeps what cannot be written anew.
        shutil.copyfile(path, target)
