"""What is installed in an image, read from its file system. Nothing in it is run.

Sources: Debian's ``/var/lib/dpkg/status`` (deb-control(5)) and ``copyright`` files, of
which many can be read by programs and others name the texts that apply (Debian Policy
12.5), Python's ``*.dist-info/METADATA`` (core metadata), and the viewer's
``ohif.env``, which names the one npm package that is served.
"""

import base64
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from typing import IO

_DPKG = "var/lib/dpkg/status"
_OS = "etc/os-release"
_COPYRIGHT = re.compile(r"usr/share/doc/([a-z0-9][a-z0-9+.-]+)/copyright")
_DOC_OF_ANOTHER = re.compile(r"usr/share/doc/([a-z0-9][a-z0-9+.-]+)")
_LICENSE_FIELD = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_COMMON_LICENSE = re.compile(
    r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])"
)
_METADATA = re.compile(r".*\.dist-info/METADATA")
_NPM = "opt/isocenter/ohif.env"
_SERVED = "srv/viewer/ohif-license.txt"
_LICENSE_PREFIX = "License :: "
_LONGEST_NAME = 80


@dataclass(frozen=True, order=True)
class Package:
    """One installed package.

    Attributes:
        kind: ``deb``, ``pypi`` or ``npm``, as in a package URL.
        name: as its own registry writes it.
        version: likewise.
        licences: SPDX identifiers or expressions, or the names that the package itself
            gives; empty where it says none.
        qualifiers: of its package URL.
        sha512: hexadecimal; empty where the image does not have it.
    """

    kind: str
    name: str
    version: str
    licences: tuple[str, ...] = ()
    qualifiers: tuple[tuple[str, str], ...] = ()
    sha512: str = ""


class ContentsError(Exception):
    """The archive is no file system of one of our images; the text says why."""


def packages(archive: IO[bytes]) -> list[Package]:
    """Every package in a file system, in order.

    Args:
        archive: a tar stream, as ``docker export`` writes it.

    Raises:
        ContentsError: it is not a tar, or a list of what is in it is missing.
    """
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isfile() and _wanted(name):
                    content = tar.extractfile(member)
                    assert content is not None  # noqa: S101 - a regular file has one
                    files[name] = content.read().decode(errors="replace")
                elif member.issym() and (link := _DOC_OF_ANOTHER.fullmatch(name)):
                    links[link[1]] = member.linkname.rpartition("/")[2]
    except tarfile.TarError as error:
        raise ContentsError(f"not a tar archive: {error}") from error
    if _DPKG not in files:
        raise ContentsError(f"no /{_DPKG}: not an image on Debian")
    found = {*_debian(files, links), *_python(files), *_npm(files)}
    return sorted(found)


def _wanted(name: str) -> bool:
    return name in {_DPKG, _OS, "usr/lib/os-release", _NPM, _SERVED} or bool(
        _METADATA.fullmatch(name) or _COPYRIGHT.fullmatch(name)
    )


def _debian(files: Mapping[str, str], links: Mapping[str, str]) -> Iterator[Package]:
    system = files.get("usr/lib/os-release", files.get(_OS, ""))
    release = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', system, re.MULTILINE))
    distro = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}".strip("-")
    for paragraph in files[_DPKG].split("\n\n"):
        field = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if not field.get("Status", "").endswith(" installed"):
            continue
        name = field["Package"]
        said = files.get(f"usr/share/doc/{links.get(name, name)}/copyright", "")
        yield Package(
            "deb",
            name,
            field["Version"],
            licences=_unique(
                _LICENSE_FIELD.findall(said) or _COMMON_LICENSE.findall(said)
            ),
            qualifiers=(("arch", field.get("Architecture", "all")), ("distro", distro)),
        )


def _python(files: Mapping[str, str]) -> Iterator[Package]:
    for name, text in files.items():
        if not _METADATA.fullmatch(name):
            continue
        field = HeaderParser(policy=compat32).parsestr(text)
        yield Package(
            "pypi",
            field["Name"],
            field["Version"],
            licences=_python_licences(
                field["License-Expression"],
                field.get_all("Classifier", []),
                field["License"],
            ),
        )


def _python_licences(
    expression: str | None, classifiers: Iterable[str], free_text: str | None
) -> tuple[str, ...]:
    """The most exact of what the metadata says: PEP 639, classifiers, free text."""
    if expression:
        return (expression,)
    names = [
        item.removeprefix(_LICENSE_PREFIX).rsplit(" :: ", 1)[-1]
        for item in classifiers
        if item.startswith(_LICENSE_PREFIX)
    ]
    if names:
        return _unique(name for name in names if name != "OSI Approved")
    # Some paste the licence's whole text here; its first line names it.
    lines = (free_text or "").strip().splitlines()
    return (lines[0].strip()[:_LONGEST_NAME],) if lines else ()


def _npm(files: Mapping[str, str]) -> Iterator[Package]:
    if _NPM not in files:
        if _SERVED in files:
            raise ContentsError(f"OHIF is in it, and no /{_NPM} says which: build anew")
        return
    said = dict(re.findall(r"^(OHIF_\w+)=(\S+)$", files[_NPM], re.MULTILINE))
    digest = said["OHIF_INTEGRITY"].removeprefix("sha512-")
    yield Package(
        "npm",
        "@ohif/app",
        said["OHIF_VERSION"],
        licences=("MIT",),
        sha512=base64.b64decode(digest, validate=True).hex(),
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
