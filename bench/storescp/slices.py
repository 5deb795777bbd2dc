"""Slices to send: CT, 512 x 512, 16 bit, each with UIDs of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 512
PIXELS = SIZE * SIZE * 2
"""Bytes of a slice's pixels."""


@dataclass(frozen=True)
class Slices:
    """Files in folders, one folder for each association.

    Attributes:
        folders: where they are.
        number: of all files.
        bytes: of all files.
    """

    folders: tuple[Path, ...]
    number: int
    bytes: int

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [file for folder in self.folders for file in sorted(folder.iterdir())]


def make(place: Path, *, associations: int, each: int) -> Slices:
    """Write slices into folders below ``place``.

    Args:
        place: a folder that need not exist.
        associations: how many folders.
        each: slices in each.
    """
    chance = np.random.default_rng(4711)
    folders = []
    total = 0
    for association in range(associations):
        folder = place / f"association-{association}"
        folder.mkdir(parents=True)
        study, series = generate_uid(), generate_uid()
        for number in range(each):
            dataset = _slice(study, series, number, chance)
            path = folder / f"{number:05}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            total += path.stat().st_size
        folders.append(folder)
    return Slices(tuple(folders), associations * each, total)


def _slice(
    study: str, series: str, number: int, chance: np.random.Generator
) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate = "20261123"
    dataset.StudyTime = "120000"
    dataset.Modality = "CT"
    dataset.PatientName = "Bench^Mark"
    dataset.PatientID = "bench"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [-100, -100, 2 * number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.4, 0.4]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIZE
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.PixelData = chance.bytes(PIXELS)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
