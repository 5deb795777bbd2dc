"""Certificates that sign themselves, with their keys."""

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(
    folder, name="scp", *, hosts=("127.0.0.1", "localhost"), organization=None
):
    """Paths of a certificate and its key: ``tls.crt`` and ``tls.key``, PEM.

    Args:
        folder: where they are written; made if it is not there.
        name: common name.
        hosts: addresses and names that it is for.
        organization: of the subject, if it is to have one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.SubjectAlternativeName([_named(host) for host in hosts]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    paths = folder / "tls.crt", folder / "tls.key"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(signed.public_bytes(pem))
    paths[1].write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def _named(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
