"""How the images are made: what `make dev` and a release lean on."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
DOCKERFILES = {
    path.parent.name: path
    for place in ("*", "services/*")
    for path in ROOT.glob(f"{place}/Dockerfile")
}
PYTHON = sorted(set(DOCKERFILES) - {"viewer"})
DIGEST = "python@sha256:" + "0" * 64


def instructions(name):
    """[(INSTRUCTION, rest)] with continued lines joined, comments left out."""
    text = DOCKERFILES[name].read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def images(*arguments, **environment):
    return subprocess.run(
        ["hack/images.sh", *arguments],
        cwd=ROOT,
        env={**os.environ, "BASE_IMAGE": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_images_are_here():
    assert set(DOCKERFILES) == {
        *("storescp", "tlm-proxy", "viewer", "fetcher", "operator", "pipeline"),
        "devcloud",
    }


@pytest.mark.parametrize("name", PYTHON)
def test_sources_are_the_last_layer_and_nothing_else_is_in_it(name):
    made = instructions(name)
    (last, copied) = made[-1]
    assert last == "COPY"
    sources = copied.split()[:-1]
    assert sources
    assert all(re.fullmatch(r"[a-z/-]+/src", source) for source in sources)
    # Installed without sources before, each by its project file.
    projects = [
        rest.split()[0].removesuffix("/pyproject.toml")
        for instruction, rest in made
        if instruction == "COPY" and rest.split()[0].endswith("/pyproject.toml")
    ]
    assert [source.removesuffix("/src") for source in sources] == projects


@pytest.mark.parametrize("name", PYTHON)
def test_the_sources_go_where_the_base_images_python_looks(name):
    made = instructions(name)
    base = next(rest for instruction, rest in made if instruction == "ARG")
    version = re.fullmatch(r"BASE=python:(\d+\.\d+)-slim-bookworm", base)[1]
    target = made[-1][1].split()[-1]
    assert target == f"/opt/isocenter/lib/python{version}/site-packages/"


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_one_base_that_a_release_can_name_by_digest(name):
    made = instructions(name)
    stages = {
        rest.split()[-1] for what, rest in made if what == "FROM" and " AS " in rest
    }
    bases = {rest.split()[0] for what, rest in made if what == "FROM"}
    assert bases - stages == {"${BASE}"}


@pytest.mark.parametrize(
    ("name", "identity"),
    [("fetcher", "isocenter-fetch-step"), ("pipeline", "isocenter-train-step")],
)
def test_the_steps_name_themselves_to_aws(name, identity):
    assert ("ENV", f"AWS_SDK_UA_APP_ID={identity}") in instructions(name)


def test_the_base_is_part_of_the_tag():
    tags = {
        images("--list", "storescp", BASE_IMAGE=base).stdout
        for base in ("", DIGEST, DIGEST.replace("0", "1"))
    }
    assert len(tags) == 3
    assert all(tag.startswith("storescp=") for tag in tags)


@pytest.mark.parametrize(
    "base", ["python:3.11", "python@sha256:12", "a b@sha256:" + "0" * 64]
)
def test_a_base_without_digest_is_refused(base):
    refused = images("--list", "storescp", BASE_IMAGE=base)
    assert refused.returncode == 2
    assert "BASE_IMAGE is not name@sha256:digest" in refused.stderr


def test_the_local_aws_is_deployed_only_when_asked_for():
    plain, itself = SKAFFOLD["profiles"]
    assert (plain["name"], itself["name"]) == ("devcloud", "devcloud-itself")
    assert "releases/-" not in str(plain["patches"])
    assert "devcloud/Dockerfile" in str(itself["patches"])
