import io
import tarfile
from datetime import UTC, datetime

import pytest
from sbom.bom import Image

STATUS = """\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.22.1-9+deb12u2
Description: small, powerful web server
 Package: not-a-package

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
FILES = {
    "var/lib/dpkg/status": STATUS,
    "etc/os-release": 'PRETTY_NAME="Debian"\nVERSION_ID="12"\nID=debian\n',
}


@pytest.fixture
def archive():
    """A file system as a tar stream, FILES and what is given."""

    def make(files=(), base=FILES, links=()):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, text in {**base, **dict(files)}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
            for name, to in dict(links).items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, to
                tar.addfile(entry)
        stream.seek(0)
        return stream

    return make


@pytest.fixture
def image():
    return Image(
        name="viewer",
        reference="registry.example:5000/isocenter/viewer:0123456789ab",
        digest="sha256:" + "0" * 64,
        created=datetime(2026, 11, 23, 9, tzinfo=UTC),
    )
