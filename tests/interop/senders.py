"""The senders of others: each sends files to a receiver, plain or with TLS.

A sender is a function of the receiver and paths of files; it raises ``AssertionError``
with the program's own words if the program failed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from interop.orthanc import rest, serving
from interop.receiver import AE_TITLE

_TIMEOUT_S = 60
_STORESCU = Path("/usr/bin/storescu")
_DCMSEND = Path("/usr/bin/dcmsend")
"""Debian's: pynetdicom has programs of the same names."""
_PIXELMED = Path("/usr/share/java/pixelmed.jar")
_PROPOSAL = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.5": "-xr",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.90": "-xv",
}
"""storescu proposes what it is told to, not what the file has."""
DCMTK_SYNTAXES = frozenset(_PROPOSAL)
"""dcmtk 3.6.7 has no HTJ2K."""


def dcmtk_storescu(receiver, files, *, stranger=False):
    """dcmtk's storescu, once for each transfer syntax."""
    _needs(_STORESCU, "dcmtk")
    for syntax in sorted({syntax for _, syntax in files}):
        paths = [path for path, each in files if each == syntax]
        _run(
            [
                *(_STORESCU, "-R", "-aec", AE_TITLE, _PROPOSAL[syntax]),
                *_dcmtk_tls(receiver, stranger=stranger),
                *("127.0.0.1", str(receiver.port), *paths),
            ]
        )


def dcmtk_dcmsend(receiver, files):
    """dcmtk's dcmsend: all at once, by presentation contexts it chooses."""
    _needs(_DCMSEND, "dcmtk")
    paths = [path for path, _ in files]
    _run([_DCMSEND, "-dn", "-aec", AE_TITLE, "127.0.0.1", str(receiver.port), *paths])


def pynetdicom(receiver, files):
    """pynetdicom's Storage SCU, as a process of its own."""
    certificates = receiver.certificates
    tls = [] if certificates is None else ["--ca", certificates.authority]
    if receiver.mutual:
        pair = certificates.client
        tls += ["--cert", pair.certificate, "--key", pair.key]
    script = Path(__file__).with_name("pynetdicom_sender.py")
    paths = [path for path, _ in files]
    _run([sys.executable, script, *tls, str(receiver.port), AE_TITLE, *paths])


def dicom_rs(receiver, files):
    """dicom-rs's storescu, in Rust."""
    program = _cache() / "dicom-rs" / "bin" / "dicom-storescu"
    if not program.exists():
        pytest.skip("dicom-rs is not built: `make interop-senders`, ten minutes")
    tls = []
    if receiver.certificates is not None:
        tls = ["--tls", "--add-certs", receiver.certificates.authority]
        # It asks for a pair even where the receiver wants none.
        pair = receiver.certificates.client
        tls += ["--cert", pair.certificate, "--key", pair.key]
    address = f"{AE_TITLE}@localhost:{receiver.port}"
    if not tls:
        address = f"{AE_TITLE}@127.0.0.1:{receiver.port}"
    _run([program, *tls, "--fail-first", address, *(path for path, _ in files)])


def orthanc(receiver, files, folder):
    """Orthanc: files are given to it by REST, and it sends them on."""
    peer = {
        "AET": AE_TITLE,
        "Host": "127.0.0.1",
        "Port": receiver.port,
        "UseDicomTls": receiver.certificates is not None,
    }
    options = {"DicomServerEnabled": False, "TranscodeDicomProtocol": False}
    if receiver.certificates is not None:
        pair = receiver.certificates.client
        options |= {
            "DicomTlsCertificate": str(pair.certificate),
            "DicomTlsPrivateKey": str(pair.key),
            "DicomTlsTrustedCertificates": str(receiver.certificates.authority),
        }
    with serving(folder / "orthanc", DicomModalities={"scp": peer}, **options) as url:
        for path, _ in files:
            answer = rest(f"{url}/instances", path.read_bytes())
            stored = rest(f"{url}/modalities/scp/store", answer["ID"].encode())
            assert stored["FailedInstancesCount"] == 0, stored


def dcm4che(receiver, files):
    """dcm4che's storescu from a folder of its own distribution."""
    home = os.environ.get("PEER_DCM4CHE")
    if not home:
        pytest.skip("PEER_DCM4CHE names no folder of dcm4che (tests/interop/README.md)")
    tls = []
    if receiver.certificates is not None:
        tls = ["--tls", "--trust-store", _store(receiver, "trust")]
        tls += ["--trust-store-pass", "secret", "--trust-store-type", "PKCS12"]
    if receiver.mutual:
        tls += ["--key-store", _store(receiver, "client"), "--key-store-pass", "secret"]
        tls += ["--key-store-type", "PKCS12"]
    address = f"{AE_TITLE}@127.0.0.1:{receiver.port}"
    program = Path(home, "bin", "storescu")
    _run([program, "-c", address, *tls, *(path for path, _ in files)])


def pixelmed(receiver, files):
    """PixelMed's Storage SCU, in Java, once for each transfer syntax."""
    _needs(_PIXELMED, "libpixelmed-java")
    java = shutil.which("java")
    if java is None:
        pytest.fail("java is not there: run `make packages` (default-jre-headless)")
    stores = {}
    if receiver.certificates is not None:
        stores["trustStore"] = _store(receiver, "trust")
    if receiver.mutual:
        stores["keyStore"] = _store(receiver, "client")
    options = ["-cp", _PIXELMED]
    for kind, path in stores.items():
        options += [f"-Djavax.net.ssl.{kind}={path}"]
        options += [f"-Djavax.net.ssl.{kind}Password=secret"]
    script = Path(__file__).with_name("PixelMedSender.java")
    transport = "tls" if stores else "plain"
    paths = [path for path, _ in files]
    _run([java, *options, script, str(receiver.port), AE_TITLE, transport, *paths])


def _store(receiver, name):
    """A PKCS12 store of the authority or of the client's pair."""
    certificates = receiver.certificates
    path = certificates.authority.with_name(f"{name}.p12")
    if path.exists():
        return path
    if name == "trust":
        options = ["-importcert", "-noprompt", "-file", certificates.authority]
        command = ["keytool", *options, "-keystore", path, "-storepass", "secret"]
        _run([*command, "-storetype", "PKCS12"])
    else:
        pair = certificates.client
        inputs = ["-in", pair.certificate, "-inkey", pair.key]
        command = ["openssl", "pkcs12", "-export", *inputs, "-out", path]
        _run([*command, "-passout", "pass:secret"])
    return path


def _dcmtk_tls(receiver, *, stranger):
    certificates = receiver.certificates
    if certificates is None:
        return []
    trusted = ["+cf", certificates.authority]
    if not receiver.mutual:
        return ["+tla", *trusted]
    pair = certificates.stranger if stranger else certificates.client
    return ["+tls", pair.key, pair.certificate, *trusted]


def _run(command):
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_TIMEOUT_S,
        check=False,
    )
    words = done.stdout.decode(errors="replace")
    assert done.returncode == 0, words
    return words


def _needs(program, package):
    if not program.exists():
        pytest.fail(f"{program} is not there: run `make packages` ({package})")


def _cache():
    return Path(os.environ.get("ISOCENTER_CACHE", Path.home() / ".cache/isocenter"))
