"""``python -m isocenter.storescp.selftest``: a modality for ``helm test``.

Asks the Store SCP for an echo and sends it a small phantom study over TLS, with UIDs
that were never used. What it sent stays in S3 and HealthImaging; its patient is
``ISOCENTER^SELFTEST``.

Exit code 0: all was acknowledged; 1: not; 2: wrong arguments or files.
"""

import argparse
import json
import math
import socket
import ssl
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import Verification

from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.exit_codes import SelfTestExit

PATIENT_NAME = "ISOCENTER^SELFTEST"
PATIENT_ID = "ISOCENTER-SELFTEST"
SIDE = 64
_TIMEOUT_S = 30
_LATE_ALERT_S = 1.0
_SUCCESS = 0x0000


class NotAcknowledgedError(IsocenterError):
    """The Store SCP did not take what it was sent; the text says where it ended."""


def phantom(instances: int, now: datetime) -> Iterator[Dataset]:
    """A CT series of a cylinder, ``SIDE`` pixels square, never sent before.

    Args:
        instances: slices, 5 mm apart.
        now: date and time of the study.
    """
    # 2.25 and a random UUID (PS3.5 B.2), so no two tests make the same one.
    study, series, frame = (generate_uid(prefix=None) for _ in range(3))
    for number in range(instances):
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid(prefix=None)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame
        dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
        dataset.PatientBirthDate = dataset.PatientSex = ""
        dataset.StudyDate = dataset.SeriesDate = f"{now:%Y%m%d}"
        dataset.StudyTime = dataset.SeriesTime = f"{now:%H%M%S}"
        dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
        dataset.StudyDescription = "helm test"
        dataset.Modality = "CT"
        dataset.Manufacturer = "isocenter"
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.SeriesNumber, dataset.InstanceNumber = 1, number + 1
        dataset.ImagePositionPatient = [-SIDE, -SIDE, 5 * number]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [2, 2], 5
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows = dataset.Columns = SIDE
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
        dataset.RescaleType = "HU"
        dataset.add_new("PixelData", "OW", _slice(number))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        yield dataset


def _slice(number: int) -> bytes:
    """Water with a rod that goes round, in air; stored values, little endian."""
    middle = SIDE / 2
    rod = (
        middle + 12 * math.cos(number / 2),
        middle + 12 * math.sin(number / 2),
    )
    pixels = []
    for y in range(SIDE):
        for x in range(SIDE):
            if math.dist((x, y), rod) < 5:  # noqa: PLR2004 - the rod's radius in pixels
                pixels.append(1900)
            elif math.dist((x, y), (middle, middle)) < 26:  # noqa: PLR2004 - the water's
                pixels.append(1024 + (x * 3 + y * 5) % 17)
            else:
                pixels.append(24)
    return struct.pack(f"<{SIDE * SIDE}H", *pixels)


def client_context(trusted: Sequence[Path], client: Path | None) -> ssl.SSLContext:
    """TLS that accepts the certificate of the Store SCP's own Secret, and no other.

    Its names are not compared: they are those that modalities connect to, and here
    the Service is asked.

    Args:
        trusted: PEM files; a certificate that is no authority's is trusted as well.
        client: folder of a ``kubernetes.io/tls`` Secret to show, or None.

    Raises:
        ConfigurationError: a file can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        for file in trusted:
            context.load_verify_locations(file)
        if client is not None:
            context.load_cert_chain(client / "tls.crt", client / "tls.key")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"a certificate can't be used: {error}") from error
    return context


def handshake(host: str, port: int, context: ssl.SSLContext) -> str:
    """Connect once and say which TLS it became.

    pynetdicom keeps the reason of a failed handshake to itself, so it is asked here.

    Raises:
        NotAcknowledgedError: no connection, or no TLS.
    """
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT_S) as plain,
            context.wrap_socket(plain) as secured,
        ):
            # In TLS 1.3 the refusal of our certificate comes after the handshake.
            secured.settimeout(_LATE_ALERT_S)
            with suppress(TimeoutError):
                secured.recv(1)
            return str(secured.version())
    except OSError as error:
        raise NotAcknowledgedError(
            f"no TLS connection to {host}:{port}: {error}"
        ) from error


def send(
    host: str, port: int, called_ae: str, datasets: list[Dataset], tls: ssl.SSLContext
) -> None:
    """C-ECHO, then C-STORE of each data set, in one association.

    Raises:
        NotAcknowledgedError: there is no association, or an answer is not success.
    """
    entity = ApplicationEntity("SELFTEST")
    entity.connection_timeout = entity.acse_timeout = _TIMEOUT_S
    entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    assoc = entity.associate(host, port, ae_title=called_ae, tls_args=(tls, None))
    if not assoc.is_established:
        raise NotAcknowledgedError(
            f"{called_ae} at {host}:{port} refuses the association: is that its AE"
            " title, and are there associations left (maximum_associations)?"
        )
    try:
        _expect(assoc.send_c_echo(), "C-ECHO")
        for number, dataset in enumerate(datasets, 1):
            _expect(assoc.send_c_store(dataset), f"C-STORE of instance {number}")
    finally:
        assoc.release()


def _expect(answer: Any, what: str) -> None:
    status = answer.get("Status")
    if status is None:
        raise NotAcknowledgedError(f"{what}: no answer within {_TIMEOUT_S} s")
    if status != _SUCCESS:
        raise NotAcknowledgedError(f"{what}: status 0x{status:04X} (PS3.7 annex C)")


def say(text: str) -> None:
    """A line of the test's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="isocenter-storescp-selftest", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--host", required=True, help="name of the Service")
    parser.add_argument("--port", type=int, required=True, help="of DICOM over TLS")
    parser.add_argument("--called-ae", required=True, help="the Store SCP's AE title")
    parser.add_argument(
        "--trust",
        type=Path,
        required=True,
        action="append",
        help="PEM file; may be given more than once",
    )
    parser.add_argument(
        "--client-tls", type=Path, help="folder with tls.crt and tls.key to show"
    )
    parser.add_argument("--instances", type=int, default=8, help="slices to send")
    parser.add_argument("--output", type=Path, help="file for what was sent, as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test; the last line of its output is the reason when it fails."""
    args = _arguments(argv)
    place = f"{args.called_ae} at {args.host}:{args.port}"
    try:
        context = client_context(args.trust, args.client_tls)
        say(f"TLS with {place}: {handshake(args.host, args.port, context)}")
        began = datetime.now(UTC)
        datasets = list(phantom(args.instances, began))
        send(args.host, args.port, args.called_ae, datasets, context)
    except ConfigurationError as error:
        say(str(error))
        return SelfTestExit.CONFIGURATION
    except NotAcknowledgedError as error:
        say(str(error))
        return SelfTestExit.FAILED
    study = str(datasets[0].StudyInstanceUID)
    said = [
        f"C-ECHO: success, by {place}",
        f"C-STORE: {len(datasets)} of {len(datasets)} instances acknowledged",
        f"study {study}, patient {PATIENT_NAME}: it stays",
    ]
    for line in said:
        say(line)
    if args.output is not None:
        document = {
            "studyInstanceUid": study,
            "instances": len(datasets),
            "sentAt": began.isoformat(),
            "said": said,
        }
        args.output.write_text(json.dumps(document), encoding="utf-8")
    return SelfTestExit.PASSED


if __name__ == "__main__":
    sys.exit(main())
