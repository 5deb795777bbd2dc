"""A modality: dcmtk's storescu sends the study over DICOM TLS."""

import tarfile
from pathlib import Path

from demo.certificates import certificate
from demo.dcmtk import dcmtk
from demo.place import NAMESPACE, STUDY, cache
from demo.port_forward import port_forward
from demo.shell import run

AE_TITLE = "S3SCP"
PORT = 11113


def study() -> list[Path]:
    """The study's files, unpacked into the cache."""
    folder = cache() / "demo" / "study"
    with tarfile.open(STUDY) as archive:
        names = [member.name for member in archive.getmembers()]
        if not all((folder / name).exists() for name in names):
            archive.extractall(folder, filter="data")
    return [folder / name for name in names]


def send(files: list[Path]) -> None:
    """Send files in one association to the Store SCP's TLS port."""
    with port_forward(NAMESPACE, "isocenter-storescp", PORT) as local:
        run(
            *(dcmtk("storescu"), "--aetitle", "CT1", "--call", AE_TITLE),
            *("--anonymous-tls", "--add-cert-file", str(certificate())),
            *("--propose-lossless", "localhost", str(local)),
            *(str(file) for file in files),
        )
