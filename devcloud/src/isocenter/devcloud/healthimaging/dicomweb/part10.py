"""An instance as a P10 file again: its attributes, its stored frames.

Developer guide, "Getting a DICOM instance from HealthImaging".

Assumed: the file meta information is the sent one with the new transfer syntax;
colour comes interleaved (PlanarConfiguration 0) with the sent Photometric
Interpretation, 4:2:2 chroma full; an instance without pixel data goes by the
same rules, its stored transfer syntax being the sent one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pydicom
from pydicom import dcmwrite
from pydicom.encaps import encapsulate

from isocenter.devcloud.healthimaging.dicomweb.dicom_json import PIXEL_DATA
from isocenter.devcloud.healthimaging.dicomweb.pixels import (
    in_transfer_syntax,
    native_bits,
    resolve,
)
from isocenter.devcloud.healthimaging.errors import (
    InternalServerError,
    NotAcceptableError,
)
from isocenter.devcloud.healthimaging.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    NATIVE,
)

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

    from isocenter.devcloud.healthimaging.dicomweb.lookup import StoredInstance

__all__ = ["part10"]


def part10(instance: StoredInstance, asked: str | None) -> tuple[bytes, str]:
    """(file, its transfer syntax); ``asked`` is a UID, ``*`` or None.

    NotAcceptableError.
    """
    metadata = instance.image_set_metadata()
    ds = pydicom.dcmread(instance.p10)
    sent = str(ds.file_meta.TransferSyntaxUID)
    if any(tag in ds for tag in PIXEL_DATA):
        wanted = resolve(asked, sent, whole=True)
        return instance.p10.read_bytes(), wanted
    stored = metadata.get("StoredTransferSyntaxUID")
    if stored is None:
        return _without_pixels(instance, ds, sent, asked)
    wanted = resolve(asked, stored)
    frames = [
        in_transfer_syntax(instance.frame(entry["ID"]), stored, wanted)
        for entry in metadata["ImageFrames"]
    ]
    _put_pixels(ds, frames, wanted)
    return _written(ds, wanted), wanted


def _without_pixels(
    instance: StoredInstance, ds: FileDataset, sent: str, asked: str | None
) -> tuple[bytes, str]:
    if asked in ("*", sent):
        return instance.p10.read_bytes(), sent
    if asked not in (None, EXPLICIT_VR_LITTLE_ENDIAN):
        raise NotAcceptableError(
            f"An instance without pixel data cannot be had as {asked}"
        )
    return _written(ds, EXPLICIT_VR_LITTLE_ENDIAN), EXPLICIT_VR_LITTLE_ENDIAN


def _put_pixels(ds: FileDataset, frames: list[bytes], wanted: str) -> None:
    bits = int(ds.BitsAllocated)
    if wanted not in NATIVE:
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    else:
        data = native_bits(ds, frames) if bits == 1 else b"".join(frames)
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds["PixelData"].VR = "OW" if bits > 8 else "OB"  # noqa: PLR2004 - one byte
        if ds.get("PhotometricInterpretation") == "YBR_FULL_422":
            ds.PhotometricInterpretation = "YBR_FULL"
    if int(ds.get("SamplesPerPixel") or 1) > 1:
        ds.PlanarConfiguration = 0


def _written(ds: FileDataset, transfer_syntax_uid: str) -> bytes:
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax_uid)
    stream = io.BytesIO()
    try:
        dcmwrite(
            stream,
            ds,
            implicit_vr=False,
            little_endian=True,
            enforce_file_format=False,
        )
    except Exception as error:
        message = "The instance's attributes cannot be written again"
        raise InternalServerError(message) from error
    return stream.getvalue()
