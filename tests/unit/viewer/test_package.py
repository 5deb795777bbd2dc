"""Which OHIF is served, and that no other package passes for it."""

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

VIEWER = Path(__file__).resolve().parents[3] / "services" / "viewer"
FILES = {
    "package/LICENSE": "MIT",
    "package/package.json": "{}",
    "package/dist/index.html": "<!doctype html>" * 200,
    "package/dist/app-config.js": "window.config = {};" * 100,
    "package/dist/app.bundle.0f6159c501addfe9.js": "let one = 1;\n" * 500,
    "package/dist/app.bundle.0f6159c501addfe9.js.map": "{}",
    "package/dist/silent-refresh.html": "<script src=elsewhere></script>",
    "package/dist/ort/model.onnx": "x" * 5000,
    "package/dist/dicom-microscopy-viewer/viewer.js": "x" * 5000,
    "package/dist/assets/icon.png": "x" * 5000,
}


def lock() -> dict[str, str]:
    text = (VIEWER / "ohif.env").read_text()
    return dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))


def test_never_older_than_the_fix_of_cve_2026_12473():
    version = tuple(int(part) for part in lock()["OHIF_VERSION"].split("."))
    assert version >= (3, 12, 2)


def test_the_integrity_is_a_whole_sha512():
    kind, value = lock()["OHIF_INTEGRITY"].split("-", 1)
    assert (kind, len(base64.b64decode(value, validate=True))) == ("sha512", 64)


@pytest.fixture
def workshop(tmp_path):
    """build.sh and its parts, with an npm that packs FILES: (integrity) -> run()."""
    for program in ("brotli", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"no {program}: make packages")
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, text in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mtime = 499162500  # as npm writes it: 1985
            archive.addfile(entry, io.BytesIO(text.encode()))
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    sources = tmp_path / "viewer"
    shutil.copytree(VIEWER, sources)
    programs = tmp_path / "bin"
    programs.mkdir()
    npm = programs / "npm"
    calls = tmp_path / "calls"
    npm.write_text(f'#!/bin/sh\necho "$@" >>{calls}\ncp {package} ohif.tgz\n')
    npm.chmod(0o755)

    def run(integrity: str = f"sha512-{digest}") -> subprocess.CompletedProcess[str]:
        (sources / "ohif.env").write_text(
            f"OHIF_VERSION=9.9.9\nOHIF_INTEGRITY={integrity}\n"
        )
        return subprocess.run(
            [sources / "build.sh", tmp_path / "site"],
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "ISOCENTER_CACHE": str(tmp_path / "cache"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    run.calls = calls
    return run


def test_the_site_is_ohif_slimmed_and_the_extension(workshop, tmp_path):
    done = workshop()
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    names = {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}
    plain = {name for name in names if not name.endswith((".gz", ".br"))}
    extension = {f"isocenter/{p.name}" for p in (VIEWER / "extension").iterdir()}
    assert plain == extension | {
        "index.html",
        "app-config.js",
        "app.bundle.0f6159c501addfe9.js",
        "assets/icon.png",
        "ohif-license.txt",
    }
    assert "app.bundle.0f6159c501addfe9.js.br" in names
    assert "assets/icon.png.gz" not in names
    ours = (VIEWER / "app-config.js").read_text()
    assert (site / "app-config.js").read_text() == ours, "not the package's"
    assert "app-config.js.gz" not in names, "nor the package's, compressed"
    # 1985 for every file would make one ETag of any two of the same size.
    assert min(p.stat().st_mtime for p in site.rglob("*") if p.is_file()) > 1.7e9


def test_a_second_build_downloads_nothing(workshop):
    assert workshop().returncode == 0
    assert workshop().returncode == 0
    assert len(workshop.calls.read_text().splitlines()) == 1


def test_another_package_is_refused(workshop, tmp_path):
    other = "sha512-" + base64.b64encode(bytes(64)).decode()
    done = workshop(other)
    assert done.returncode == 1
    assert "is not the package that was tested" in done.stderr
    assert not (tmp_path / "site").exists()
    assert not list((tmp_path / "cache" / "viewer").iterdir())


def test_a_folder_of_somebody_elses_is_not_replaced(workshop, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.tex").touch()
    assert workshop().returncode == 1
    assert (tmp_path / "site" / "thesis.tex").exists()
