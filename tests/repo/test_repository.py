"""Checks on the repository itself."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("libs", "services", "operator", "pipeline", "charts/isocenter")
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())


def files(*places: str) -> list[Path]:
    """Files that are or would be in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def lines(path: Path) -> list[str]:
    return path.read_bytes().decode(errors="replace").splitlines()


def test_the_product_does_not_know_its_test_surroundings():
    words = re.compile(r"devcloud|\bmoto\b|localhost|127\.0\.0\.1", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files(*PRODUCT)
        if "/testing/" not in str(path)
        for number, line in enumerate(lines(path), 1)
        if words.search(line)
    ]
    assert found == []


def test_devcloud_does_not_know_the_product():
    imports = re.compile(r"^\s*(from|import) isocenter\.(?!devcloud)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files("devcloud")
        for number, line in enumerate(lines(path), 1)
        if imports.search(line)
    ]
    assert found == []


def test_no_download_host_and_no_path_of_one_machine():
    hosts = r"pythonhoste[d]\.org|pyp[i]\.org/simple|npmj[s]\.org|proxy\.golan[g]\.org"
    paths = r"/wor[k]/|/roo[t]/"
    words = re.compile(f"{hosts}|{paths}|deb\\.debia[n]\\.org")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files(".")
        if path.suffix not in {".xz", ".dcm"}
        for number, line in enumerate(lines(path), 1)
        if words.search(line)
    ]
    assert found == []


def test_no_file_grows_past_500_lines():
    long = {
        str(path.relative_to(ROOT)): len(lines(path))
        for path in files("*.py", "*.sh", "*.go")
        if len(lines(path)) > 500
    }
    assert long == {}


def test_names_that_say_nothing():
    vague = re.compile(r"^(utils?|helpers?|common|misc|manager)\.py$")
    assert [path for path in files("*.py") if vague.match(path.name)] == []


def test_one_namespace():
    roots = [path for path in files("*__init__.py") if path.parent.name == "isocenter"]
    assert roots == []
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_whole(service):
    assert (ROOT / "services" / service / "Dockerfile").exists()
    if service != "viewer":  # static files: no Python
        assert (ROOT / "services" / service / "pyproject.toml").exists()
    assert (ROOT / "charts/isocenter/templates" / service).is_dir()
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    dockerfiles = {
        artifact["docker"]["dockerfile"] for artifact in skaffold["build"]["artifacts"]
    }
    assert f"services/{service}/Dockerfile" in dockerfiles


def test_versions_agree():
    chart = yaml.safe_load((ROOT / "charts/isocenter/Chart.yaml").read_text())
    versions = {
        tomllib.loads(path.read_text())["project"]["version"]
        for path in files("*pyproject.toml")
    }
    assert versions == {chart["appVersion"]}


def test_images_copy_only_what_they_are_made_of():
    for path in files("*Dockerfile"):
        text = path.read_text()
        assert not re.search(r"^(COPY|ADD)\s+\.\s", text, re.MULTILINE), path
        in_sagemaker = path.parent.name in {"fetcher", "pipeline"}
        assert ("USER 10001:10001" in text) is not in_sagemaker, path


def test_make_help_names_every_documented_target():
    told = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    readme = (ROOT / "README.md").read_text()
    for target in set(re.findall(r"\bmake ([a-z][a-z-]+)", readme)):
        assert re.search(rf"^\s+{target}\s", told, re.MULTILINE), target
