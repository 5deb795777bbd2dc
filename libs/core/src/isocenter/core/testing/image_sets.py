"""Image sets made from numpy arrays, as HealthImaging would hold them.

Metadata has the form of a real one: strings, some padded, empty values null; checksums
are over decoded samples or stored bytes, as the transfer syntax wants.
"""

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

_DECODED_CHECKSUM = frozenset({HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS})
_ROOT = "1.2.826.0.1.3680043.10.1234"


@dataclass(frozen=True)
class ImageSetContent:
    """One version of an image set.

    Attributes:
        image_set_id: 32 characters.
        metadata: the decoded metadata document.
        frames: stored bytes by frame id.
    """

    image_set_id: str
    metadata: dict[str, Any]
    frames: Mapping[str, bytes]


@dataclass(frozen=True)
class InstanceSource:
    """An instance to be.

    Attributes:
        frames: one array a frame, rows x columns or rows x columns x samples; none
            for a report and the like.
        dicom: attributes that replace or add to the made ones; None removes one.
        syntax: StoredTransferSyntaxUID of its frames.
        stored_syntax_known: False leaves StoredTransferSyntaxUID out, as older
            image sets do.
        series: which series of the image set it is in, from 1.
    """

    frames: Sequence["NDArray[np.generic]"] = ()
    dicom: Mapping[str, Any] = field(default_factory=dict)
    syntax: str = JPEG_2000_LOSSLESS
    stored_syntax_known: bool = True
    series: int = 1


def identifier(*parts: object) -> str:
    """A HealthImaging id (32 hex digits) that depends on ``parts`` only."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def encode(frame: "NDArray[np.generic]", syntax: str) -> bytes:
    """Stored bytes of a frame.

    Args:
        frame: rows x columns or rows x columns x samples, integers.
        syntax: .90 and .91 by openjpeg (at least 32 rows and columns), .202 and .203
            by imagecodecs, .50 by Pillow, or 1.2.1; their packages are needed.

    Raises:
        ValueError: no encoder is known for ``syntax``.
    """
    import numpy as np  # noqa: PLC0415 - core itself does not depend on numpy

    array = np.ascontiguousarray(frame)
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        return array.tobytes()
    if syntax == JPEG_BASELINE:
        from PIL import Image  # noqa: PLC0415 - only for this syntax

        stream = io.BytesIO()
        Image.fromarray(array).save(stream, "JPEG", quality=90)
        return stream.getvalue()
    if syntax in {JPEG_2000_LOSSLESS, JPEG_2000}:
        from openjpeg.utils import encode_array  # noqa: PLC0415 - only for this syntax

        bits = 8 * array.dtype.itemsize
        colour = 1 if array.ndim > len("yx") else 0
        return bytes(
            encode_array(array, bits_stored=bits, photometric_interpretation=colour)
        )
    if syntax in {HTJ2K_LOSSLESS_RPCL, HTJ2K}:
        import imagecodecs  # noqa: PLC0415 - only for this syntax

        # The low-resolution end has to be at most 64 samples (PS3.5 10.18).
        levels = max(0, (min(array.shape[:2]) - 1).bit_length() - 6)
        return bytes(
            imagecodecs.htj2k_encode(
                array,
                resolutions=levels,
                reversible=True,
                tlm=True,
                tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
            )
        )
    raise ValueError(f"no encoder for transfer syntax {syntax}")


def build_image_set(
    instances: Sequence[InstanceSource],
    *,
    name: str = "image set",
    datastore_id: str,
    patient: Mapping[str, Any] | None = None,
    study: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
) -> ImageSetContent:
    """An image set of the given instances.

    Args:
        instances: in the order in which the metadata lists them.
        name: sets the ids and UIDs apart from those of other image sets.
        datastore_id: data store.
        patient: attributes beside, or instead of, the made ones.
        study: the same on study level.
        series: the same on series level, for every series.
    """
    image_set_id = identifier("image set", name)
    study_uid = _uid(name, "study")
    frames: dict[str, bytes] = {}
    all_series: dict[str, Any] = {}
    for index, source in enumerate(instances, start=1):
        series_uid = _uid(name, "series", source.series)
        entry = all_series.setdefault(
            series_uid,
            {
                "DICOM": {
                    "SeriesInstanceUID": series_uid,
                    "Modality": "CT",
                    "SeriesNumber": f"{source.series} ",
                    **(series or {}),
                },
                "Instances": {},
            },
        )
        sop_uid = _uid(name, "instance", index)
        entry["Instances"][sop_uid] = _instance(source, index, sop_uid, name, frames)
    return ImageSetContent(
        image_set_id=image_set_id,
        metadata={
            "SchemaVersion": "1.1",
            "DatastoreID": datastore_id,
            "ImageSetID": image_set_id,
            "Patient": {
                "DICOM": {
                    "PatientID": "P-1 ",
                    "PatientName": "DOE^JANE",
                    "IssuerOfPatientID": None,
                    **(patient or {}),
                }
            },
            "Study": {
                "DICOM": {"StudyInstanceUID": study_uid, **(study or {})},
                "Series": all_series,
            },
        },
        frames=frames,
    )


def _instance(
    source: InstanceSource,
    index: int,
    sop_uid: str,
    name: str,
    frames: dict[str, bytes],
) -> dict[str, Any]:
    dicom: dict[str, Any] = {"SOPInstanceUID": sop_uid, "InstanceNumber": f"{index} "}
    listed = []
    for number, frame in enumerate(source.frames, start=1):
        frame_id = identifier("frame", name, index, number)
        stored = frames[frame_id] = encode(frame, source.syntax)
        summed = frame.tobytes() if source.syntax in _DECODED_CHECKSUM else stored
        checksum = {
            "Width": frame.shape[1],
            "Height": frame.shape[0],
            "Checksum": zlib.crc32(summed),
        }
        listed.append(
            {
                "ID": frame_id,
                "PixelDataChecksumFromBaseToFullResolution": [checksum],
                "MinPixelValue": None,
                "MaxPixelValue": None,
                # As in real image sets, not the decoded size.
                "FrameSizeInBytes": len(stored),
            }
        )
    if source.frames:
        dicom |= _pixel_attributes(source.frames[0])
    if len(source.frames) > 1:
        dicom["NumberOfFrames"] = f"{len(source.frames)} "
    dicom |= source.dicom
    instance: dict[str, Any] = {
        "DICOM": {word: value for word, value in dicom.items() if value is not None}
    }
    if source.stored_syntax_known:
        instance["StoredTransferSyntaxUID"] = source.syntax
    if listed:
        instance["ImageFrames"] = listed
    return instance


def _pixel_attributes(frame: "NDArray[np.generic]") -> dict[str, Any]:
    bits = 8 * frame.dtype.itemsize
    samples = frame.shape[2] if frame.ndim > len("yx") else 1
    return {
        "Rows": frame.shape[0],
        "Columns": frame.shape[1],
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(frame.dtype.kind == "i"),
    }


def _uid(*parts: object) -> str:
    return f"{_ROOT}.{int(identifier(*parts)[:16], 16)}"
