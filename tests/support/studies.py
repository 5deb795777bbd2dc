"""Generated studies whose every pixel is known: bodies of P10 files and numpy."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
_US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


@dataclass(frozen=True)
class Series:
    """A study of one series.

    Attributes:
        study: Study Instance UID.
        patient: Patient's Name as a list shows it (family name alone).
        bodies: the files, in the order of their instance numbers.
        instances: SOP Instance UIDs in the same order.
        values: each frame after the modality LUT (PS3.3 C.11.1), in the same order.
    """

    study: str
    patient: str
    bodies: tuple[bytes, ...]
    instances: tuple[str, ...]
    values: tuple[np.ndarray, ...]


def texture(rows: int, columns: int, seed: int, noise: float = 0.3) -> np.ndarray:
    """A shape with noise on it, 0..1: nothing that compresses to nothing."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    disc = np.clip(1.2 - np.hypot(x, y * 1.2), 0, 1)
    rings = 0.5 + 0.5 * np.sin(14 * np.hypot(x - 0.2, y + 0.1) + seed)
    grain = np.random.default_rng(seed).random((rows, columns))
    return disc * ((1 - noise) * rings + noise * grain)


def ct_volume(patient: str, slices: int = 24, size: int = 256) -> Series:
    """Signed CT with evenly spaced axial slices: what MPR takes."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    bodies, instances, values = [], [], []
    for number in range(1, slices + 1):
        stored = (texture(size, size, number) * 2400 - 1000).astype(np.int16)
        dataset = _image(patient, study, series, _CT, "CT", number, stored)
        dataset.FrameOfReferenceUID = frame
        dataset.ImagePositionPatient = [-100.0, -100.0, 2.0 * number]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [200 / size, 200 / size]
        dataset.SliceThickness = 2
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -24
        dataset.RescaleType = "HU"
        dataset.WindowCenter, dataset.WindowWidth = 200, 2000
        bodies.append(_bytes(dataset))
        instances.append(str(dataset.SOPInstanceUID))
        values.append(stored.astype(np.int32) - 24)
    return Series(study, patient, tuple(bodies), tuple(instances), tuple(values))


def large_mr(patient: str, size: int = 1024) -> Series:
    """One unsigned MR slice of a megapixel, about 0.6 MB as HTJ2K."""
    stored = (texture(size, size, 5, 0.02) * 4000).astype(np.uint16)
    dataset = _image(patient, generate_uid(), generate_uid(), _MR, "MR", 1, stored)
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.ImagePositionPatient = [0.0, 0.0, 0.0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.25, 0.25]
    dataset.WindowCenter, dataset.WindowWidth = 1600, 3200
    return Series(
        dataset.StudyInstanceUID,
        patient,
        (_bytes(dataset),),
        (str(dataset.SOPInstanceUID),),
        (stored,),
    )


def colour_cine(patient: str, frames: int = 8) -> Series:
    """One ultrasound instance of RGB frames, 240x320."""
    channels = [
        np.stack([texture(240, 320, 10 * n + c) for c in range(3)], axis=-1)
        for n in range(frames)
    ]
    stored = (np.stack(channels) * 255).astype(np.uint8)
    dataset = _image(
        patient, generate_uid(), generate_uid(), _US_MULTI_FRAME, "US", 1, stored[0]
    )
    dataset.NumberOfFrames = frames
    dataset.FrameTime = 40
    dataset.FrameIncrementPointer = 0x00181063
    dataset.PixelData = stored.tobytes()
    return Series(
        dataset.StudyInstanceUID,
        patient,
        (_bytes(dataset),),
        (str(dataset.SOPInstanceUID),),
        tuple(stored),
    )


def _image(
    patient: str,
    study: str,
    series: str,
    sop_class: str,
    modality: str,
    number: int,
    pixels: np.ndarray,
) -> Dataset:
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID = f"{patient}^Test", f"ID-{patient}"
    dataset.PatientSex, dataset.PatientBirthDate = "O", "19700101"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.SOPInstanceUID, dataset.SOPClassUID = generate_uid(), sop_class
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, number
    dataset.StudyDate = dataset.SeriesDate = "20261101"
    dataset.StudyTime = dataset.SeriesTime = "101500"
    dataset.AccessionNumber = f"A-{patient}"
    dataset.StudyDescription = f"{modality} of {patient}"
    dataset.SeriesDescription = "generated"
    dataset.Modality = modality
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    colour = pixels.ndim == 3
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    return dataset


def _bytes(dataset: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
