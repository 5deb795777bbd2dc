"""The Store SCP as a process, on a plain port, with TLS, or with TLS both ways."""

import datetime as dt
import ipaddress
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from support.ports import free_port
from support.s3_sink import S3Sink

AE_TITLE = "INTEROP"
SUBJECT = "CN=ct1,O=Hospital"
_START_S = 30


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate and its key, PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """What both sides show and trust.

    Attributes:
        authority: that signed both.
        server: for 127.0.0.1 and the name localhost.
        client: with the subject that is allowed.
        stranger: signed too, with another subject.
    """

    authority: Path
    server: Pair
    client: Pair
    stranger: Pair


def make_certificates(folder):
    """An authority and what it signed."""
    now = dt.datetime.now(dt.UTC)
    ca_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])

    def sign(subject, key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(ca_key, hashes.SHA256())

    def write(name, certificate, key):
        pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        pair.certificate.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return pair

    def leaf(name, purpose, *attributes):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        names = x509.SubjectAlternativeName(
            [
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.DNSName("localhost"),
            ]
        )
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([purpose]), False),
            (names, False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                False,
            ),
        ]
        subject = x509.Name([x509.NameAttribute(*each) for each in attributes])
        return write(name, sign(subject, key, *extensions), key)

    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = sign(
        ca_name,
        ca_key,
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False),
    )
    hospital = (NameOID.ORGANIZATION_NAME, "Hospital")
    client = ExtendedKeyUsageOID.CLIENT_AUTH
    return Certificates(
        write("authority", authority, ca_key).certificate,
        leaf("server", ExtendedKeyUsageOID.SERVER_AUTH, (NameOID.COMMON_NAME, "scp")),
        leaf("client", client, hospital, (NameOID.COMMON_NAME, "ct1")),
        leaf("stranger", client, hospital, (NameOID.COMMON_NAME, "ct2")),
    )


class Receiver:
    """A running Store SCP with an S3 of its own.

    Args:
        folder: for its spool and log.
        certificates: for TLS; None for a plain port.
        mutual: whether peers must show a certificate.
    """

    def __init__(self, folder, certificates=None, *, mutual=False):
        self.port, health = free_port(), free_port()
        self.certificates, self.mutual = certificates, mutual
        self.s3 = S3Sink(keep=1 << 24)
        peer = {"aeTitle": "*", "certificateSubject": SUBJECT} if mutual else "*"
        environment = {
            "PATH": os.defpath,
            **self.s3.environment(),
            "STORESCP_AE_TITLE": AE_TITLE,
            "STORESCP_ALLOWED_PEERS": json.dumps([peer]),
            "STORESCP_LISTEN_ADDRESS": "127.0.0.1",
            "STORESCP_HEALTH_PORT": str(health),
            "STORESCP_BUCKET": "inbox",
            "STORESCP_DATASTORE_ID": "0" * 32,
            "STORESCP_SPOOL_DIR": str(folder / "spool"),
            "STORESCP_SPOOL_MIN_FREE_BYTES": "0",
            "STORESCP_BATCH_QUIET_S": "0.2",
            "STORESCP_WORKERS": "2",
        }
        (folder / "spool").mkdir()
        if certificates is None:
            environment["STORESCP_SCP_PORT"] = str(self.port)
        else:
            environment["STORESCP_TLS_PORT"] = str(self.port)
            environment["STORESCP_TLS_CERT_FILE"] = str(certificates.server.certificate)
            environment["STORESCP_TLS_KEY_FILE"] = str(certificates.server.key)
        if mutual:
            environment["STORESCP_TLS_CA_FILE"] = str(certificates.authority)
        self._log = (folder / "log").open("w+")
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("isocenter-storescp")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait(f"http://127.0.0.1:{health}/readyz")

    def _wait(self, url):
        deadline = time.monotonic() + _START_S
        while True:
            assert self._process.poll() is None, self.log()
            try:
                urllib.request.urlopen(url, timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
            else:
                return

    def log(self):
        self._log.flush()
        return Path(self._log.name).read_text()

    def keys(self):
        """Keys of instances in S3 by SOP Instance UID."""
        return {
            name.rpartition("/")[2].removesuffix(".dcm"): name
            for name in self.s3.objects()
            if name.startswith("inbox/DICOM/")
        }

    def close(self):
        self._process.terminate()
        code = self._process.wait(60)
        log = self.log()
        self._log.close()
        self.s3.close()
        assert code == 0, log
