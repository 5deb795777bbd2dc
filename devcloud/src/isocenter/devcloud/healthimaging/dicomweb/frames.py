"""GetDICOMInstanceFrames: frames as parts of one answer.

Developer guide, "Getting DICOM instance frames": ``frameList`` names frames
from 1 on, each once, in any order; parts are application/octet-stream.

Assumed: parts come in the order asked for, each naming its transfer syntax in
its Content-Type; a frame that does not exist is a
ResourceNotFoundException, of an instance with frames that were not extracted
a NotAcceptableException as of any "processing warning".
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from isocenter.devcloud.healthimaging.dicomweb.accept import FRAMES
from isocenter.devcloud.healthimaging.dicomweb.pixels import (
    in_transfer_syntax,
    resolve,
)
from isocenter.devcloud.healthimaging.errors import (
    NotAcceptableError,
    ResourceNotFoundError,
    ValidationError,
)

if TYPE_CHECKING:
    from isocenter.devcloud.healthimaging.dicomweb.lookup import StoredInstance

__all__ = ["multipart_frames", "parse_frame_list"]


def parse_frame_list(text: str) -> list[int]:
    """The frame numbers in their order; ValidationError.

    >>> parse_frame_list("3,1")
    [3, 1]
    """
    if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*", text, re.ASCII):
        raise ValidationError("frameList must be frame numbers, separated by commas")
    numbers = [int(each) for each in text.split(",")]
    if len(set(numbers)) != len(numbers):
        raise ValidationError("frameList names a frame more than once")
    return numbers


def multipart_frames(
    instance: StoredInstance, numbers: list[int], asked: str | None
) -> tuple[bytes, str]:
    """(body, Content-Type); ``asked`` is a transfer syntax, ``*`` or None."""
    metadata = instance.image_set_metadata()
    entries = metadata["ImageFrames"]
    if not entries and metadata.get("StoredTransferSyntaxUID") is None:
        if _had_pixels(metadata):
            message = "The frames could not be extracted: use GetDICOMInstance"
            raise NotAcceptableError(message)
        raise ResourceNotFoundError("The instance has no frames")
    if max(numbers) > len(entries):
        raise ResourceNotFoundError(f"The instance has {len(entries)} frame(s)")
    stored = metadata["StoredTransferSyntaxUID"]
    wanted = resolve(asked, stored, whole="ChecksumType" not in metadata)
    boundary = uuid.uuid4().hex
    pieces = []
    for number in numbers:
        frame = instance.frame(entries[number - 1]["ID"])
        pieces += [
            f"--{boundary}\r\nContent-Type: {FRAMES}; transfer-syntax={wanted}"
            "\r\n\r\n".encode("ascii"),
            in_transfer_syntax(frame, stored, wanted),
            b"\r\n",
        ]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    content_type = f'multipart/related; type="{FRAMES}"; boundary={boundary}'
    return b"".join(pieces), content_type


def _had_pixels(metadata: dict[str, object]) -> bool:
    dicom = metadata["DICOM"]
    return isinstance(dicom, dict) and "BitsAllocated" in dicom
