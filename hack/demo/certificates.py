"""The certificate of the demo's DICOM TLS listener: made here, valid a year."""

import tempfile
from pathlib import Path

from demo.place import NAMESPACE, cache
from demo.shell import DemoError, kubectl, run

SECRET = "isocenter-dicom-tls"  # noqa: S105 - the name of a Secret


def certificate() -> Path:
    """The certificate file, made once and kept in the cache."""
    folder = cache() / "demo"
    made = folder / "tls.crt"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-days", "365", "-subj", "/CN=isocenter-storescp"),
            *("-addext", "subjectAltName=DNS:isocenter-storescp,DNS:localhost"),
            *("-keyout", f"{work}/tls.key", "-out", f"{work}/tls.crt"),
        )
        # The certificate is moved last: where it is, its key is too.
        (Path(work) / "tls.key").rename(folder / "tls.key")
        (Path(work) / "tls.crt").rename(made)
    return made


def install_secret() -> None:
    """Put certificate and key into the product's namespace, unless they are there."""
    made = certificate()
    try:
        kubectl("-n", NAMESPACE, "get", "secret", SECRET)
    except DemoError:
        kubectl(
            *("-n", NAMESPACE, "create", "secret", "tls", SECRET),
            *(f"--cert={made}", f"--key={made.with_name('tls.key')}"),
        )
