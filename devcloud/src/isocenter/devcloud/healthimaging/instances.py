"""One P10 file becomes one stored instance; runs in a worker process.

A decoder that a broken codestream brings down takes only its worker along, so
everything in and out of ``convert`` can be pickled, and frames and metadata
go to disk, not through the pipe.
"""

from __future__ import annotations

import json
import re
import uuid
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pydicom
from pydicom.errors import InvalidDicomError

from isocenter.devcloud.healthimaging.dicomweb.kept import keep, without_pixels
from isocenter.devcloud.healthimaging.import_warnings import (
    InstanceWarning,
    WarningReason,
)
from isocenter.devcloud.healthimaging.metadata import describe
from isocenter.devcloud.healthimaging.transcode import StoredPixels, store_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

    from isocenter.devcloud.healthimaging.attribute_levels import Level

__all__ = ["ConvertedInstance", "InvalidInstanceError", "convert"]

# Developer guide, "DICOM element constraints".
_MAX_LENGTHS: Final = {
    "PatientName": 256,
    "PatientID": 256,
    "PatientBirthDate": 18,
    "PatientSex": 16,
    "StudyInstanceUID": 256,
    "StudyID": 16,
    "StudyDescription": 64,
    "AccessionNumber": 256,
    "StudyDate": 18,
    "StudyTime": 28,
    "SeriesInstanceUID": 256,
    "SOPInstanceUID": 256,
}
_REQUIRED: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
)
_UID_CHARACTERS: Final = re.compile(r"[0-9.]+")
# PS3.5 9.1: 64 characters at most, no component but 0 begins with 0.
_UID: Final = re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


class InvalidInstanceError(Exception):
    """The file cannot be imported; the text goes to failure.ndjson.

    It names attributes, never their values.
    """


@dataclass(frozen=True)
class ConvertedInstance:
    """An instance on disk, and what is needed to group it.

    ``directory`` holds ``instance.json`` (the instance's metadata object), what
    DICOMweb needs of it (see ``dicomweb.kept``) and
    ``frames/<transfer syntax>/<frame id>``.
    """

    directory: Path
    sop_instance_uid: str
    levels: dict[Level, dict[str, Any]]
    warnings: tuple[InstanceWarning, ...]


def convert(path: Path, directory: Path, storage_format: str) -> ConvertedInstance:
    """Read the P10 file at ``path`` and store the instance under ``directory``.

    Raises InvalidInstanceError when it cannot be imported at all.
    """
    with warnings.catch_warnings():
        # pydicom warns of every oddity of the input; ours are in the result.
        warnings.simplefilter("ignore")
        try:
            return _convert(path, directory, storage_format)
        except RecursionError as error:
            message = "Sequences are nested too deeply"
            raise InvalidInstanceError(message) from error


def _convert(path: Path, directory: Path, storage_format: str) -> ConvertedInstance:
    ds = _read(path)
    transfer_syntax_uid = str(ds.file_meta.get("TransferSyntaxUID") or "")
    if not transfer_syntax_uid:
        raise InvalidInstanceError("DICOM attribute TransferSyntaxUID does not exist")
    bare = without_pixels(ds)
    found = [*_check_attributes(ds)]
    metadata = describe(ds)
    if metadata.discarded:
        tags = ", ".join(sorted(set(metadata.discarded)))
        message = f"Elements whose values cannot be read were left out: {tags}"
        found.append(InstanceWarning(WarningReason.ELEMENTS_DISCARDED, message))
    pixels = _store(ds, transfer_syntax_uid, storage_format, directory)
    if pixels.warning:
        found.append(pixels.warning)
    instance: dict[str, Any] = {
        "DICOM": metadata.levels.pop("Instance"),
        "DICOMVRs": metadata.vrs,
    }
    if pixels.transfer_syntax_uid:
        instance["StoredTransferSyntaxUID"] = pixels.transfer_syntax_uid
    if pixels.transcoded:
        instance["ChecksumType"] = "DECOMPRESSED"
    instance["ImageFrames"] = pixels.frames
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "instance.json").write_text(json.dumps(instance), encoding="ascii")
    keep(path, bare, pixels, found, directory)
    uid = str(ds.SOPInstanceUID).strip()
    return ConvertedInstance(directory, uid, metadata.levels, tuple(found))


def _read(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise InvalidInstanceError("The file is not a DICOM P10 file") from error
    except Exception as error:
        message = f"The DICOM P10 file cannot be parsed ({type(error).__name__})"
        raise InvalidInstanceError(message) from error


def _check_attributes(ds: Dataset) -> list[InstanceWarning]:
    values = {name: _text(ds, name) for name in {*_REQUIRED, *_MAX_LENGTHS}}
    for name in _REQUIRED:
        if not values[name]:
            raise InvalidInstanceError(f"DICOM attribute {name} does not exist")
    for name, limit in _MAX_LENGTHS.items():
        if len(values[name]) > limit:
            message = f"DICOM attribute {name} is longer than {limit} characters"
            raise InvalidInstanceError(message)
    for name in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not _UID_CHARACTERS.fullmatch(values[name]):
            message = f"DICOM attribute {name} has characters that no UID has"
            raise InvalidInstanceError(message)
    return [
        InstanceWarning(WarningReason.INVALID_UID, f"{name} is not a valid UID")
        for name in _REQUIRED
        if not _UID.fullmatch(values[name])
    ]


def _text(ds: Dataset, name: str) -> str:
    try:
        value = ds.get(name)
    except Exception as error:
        raise InvalidInstanceError(f"DICOM attribute {name} is invalid") from error
    return "" if value is None else str(value).strip(" \0")


def _store(
    ds: Dataset, transfer_syntax_uid: str, storage_format: str, directory: Path
) -> StoredPixels:
    """Store the frames in a folder named by the transfer syntax they end in."""
    folder = directory / "frames" / "new"
    folder.mkdir(parents=True)

    def sink(stored: bytes) -> str:
        frame_id = uuid.uuid4().hex
        (folder / frame_id).write_bytes(stored)
        return frame_id

    pixels = store_pixels(ds, transfer_syntax_uid, storage_format, sink)
    named = {entry["ID"] for entry in pixels.frames}
    for file in folder.iterdir():
        # Frames written before a later one turned out to be broken.
        if file.name not in named:
            file.unlink()
    folder.rename(folder.with_name(pixels.transfer_syntax_uid or "none"))
    return pixels
