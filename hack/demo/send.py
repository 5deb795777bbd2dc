"""A modality: dcmtk's storescu sends the study over DICOM TLS."""

import shutil
import tarfile
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from demo.certificates import certificate
from demo.dcmtk import dcmtk
from demo.place import NAMESPACE, STUDY, cache
from demo.port_forward import port_forward
from demo.shell import run
from demo.unpack import unpack

AE_TITLE = "S3SCP"
PORT = 11113


def study() -> list[Path]:
    """The study's files, unpacked into the cache."""
    folder = cache() / "demo" / "study"
    with tarfile.open(STUDY) as archive:
        names = [member.name for member in archive.getmembers()]
        if not all((folder / name).exists() for name in names):
            unpack(archive, folder)
    return [folder / name for name in names]


def another(files: list[Path]) -> list[Path]:
    """The same images as a study of another patient.

    The Store SCP takes equal bytes once: a repeated demo would send nothing new.
    """
    folder = cache() / "demo" / "another"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    study_uid, series_uid = generate_uid(), generate_uid()
    for file in files:
        dataset = dcmread(file)
        dataset.PatientID = f"DEMO-{study_uid[-8:]}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / file.name)
    return sorted(folder.iterdir())


def send(files: list[Path]) -> None:
    """Send files in one association to the Store SCP's TLS port."""
    with port_forward(NAMESPACE, "isocenter-storescp", PORT) as local:
        run(
            *(dcmtk("storescu"), "--aetitle", "CT1", "--call", AE_TITLE),
            *("--anonymous-tls", "--add-cert-file", str(certificate())),
            *("--propose-lossless", "localhost", str(local)),
            *(str(file) for file in files),
        )
