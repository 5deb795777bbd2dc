"""The product chart, rendered by helm."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "isocenter"
LOCAL_AWS_VALUES = ROOT / "charts" / "devcloud" / "isocenter-values.yaml"
IMAGES = ("images.registry=registry.example",)
PROFILES: dict[str, tuple[tuple[Path, ...], tuple[str, ...]]] = {
    "minimal": ((CHART / "ci" / "minimal.yaml",), ()),
    "everything": ((CHART / "ci" / "everything.yaml",), ()),
    "aws": ((CHART / "ci" / "aws.yaml",), ()),
    "local-aws": ((LOCAL_AWS_VALUES,), IMAGES),
}
"""Values files and single values, by the profile's name."""

# libyaml's, where it is there: ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


class HelmError(Exception):
    """helm refused; the text is what it said."""


def _text(values: tuple[Path, ...], sets: tuple[str, ...], *more: str) -> str:
    command = [
        *("helm", "template", "isocenter", str(CHART), "--namespace", "imaging"),
        *more,
    ]
    for file in values:
        command += ["--values", str(file)]
    for each in sets:
        command += ["--set", each]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


@cache
def template(profile: str) -> str:
    """What helm renders for a profile; rendered once."""
    return _text(*PROFILES[profile])


def render(
    *values: Path, sets: tuple[str, ...] = (), upgrade: bool = False
) -> dict[tuple[str, str], Manifest]:
    """Manifests by (kind, name); two of the same name are an error."""
    known = next((n for n, each in PROFILES.items() if each == (values, sets)), None)
    if upgrade:
        text = _text(values, sets, "--is-upgrade")
    else:
        text = template(known) if known else _text(values, sets)
    found: dict[tuple[str, str], Manifest] = {}
    for manifest in yaml.load_all(text, _LOADER):
        if manifest is None:
            continue
        key = (manifest["kind"], manifest["metadata"]["name"])
        if key in found:
            raise HelmError(f"{key} is rendered twice")
        found[key] = manifest
    return found


def workloads(manifests: dict[tuple[str, str], Manifest]) -> dict[str, Manifest]:
    """Pod templates by the workload's name."""
    return {
        name: manifest["spec"]["template"]
        for (kind, name), manifest in manifests.items()
        if kind in {"Deployment", "StatefulSet", "Job"}
    }


def environment(pod: Manifest) -> dict[str, str]:
    """Plain environment variables of a pod's only container."""
    (container,) = pod["spec"]["containers"]
    return {e["name"]: e["value"] for e in container["env"] if "value" in e}
