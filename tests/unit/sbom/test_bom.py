import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from sbom import bom
from sbom.bom import InvalidDocumentError, document
from sbom.contents import Package, packages

VIEWER = Path(__file__).resolve().parents[3] / "services" / "viewer"
PACKAGES = [
    Package(
        "deb", "nginx", "1.22.1-9", ("BSD-2-clause", "GPL-2+"), (("arch", "amd64"),)
    ),
    Package("npm", "@ohif/app", "3.13.2", ("MIT",), sha512="01" * 64),
    Package("pypi", "numpy", "2.4", ("BSD-3-Clause AND 0BSD AND MIT",)),
    Package("pypi", "odd", "1", ("BSD License", "MIT OR Apache-2.0")),
    Package("pypi", "silent", "1"),
]


@pytest.fixture
def made(image):
    return json.loads(document(image, PACKAGES))


def component(made, name):
    return next(one for one in made["components"] if one["name"] == name)


def test_the_document_is_valid_cyclonedx(image, archive):
    files = {"opt/isocenter/ohif.env": (VIEWER / "ohif.env").read_text()}
    text = document(image, packages(archive(files)) + PACKAGES)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    broken = text.replace('"specVersion"', '"specversion"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_it_names_the_image_by_digest(made, image):
    described = made["metadata"]["component"]
    assert described["type"] == "container"
    assert described["version"] == image.digest
    assert described["purl"].startswith("pkg:oci/viewer@sha256:")
    assert made["metadata"]["timestamp"] == "2026-11-23T09:00:00+00:00"


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        ("nginx", "pkg:deb/debian/nginx@1.22.1-9?arch=amd64"),
        ("app", "pkg:npm/%40ohif/app@3.13.2"),
        ("numpy", "pkg:pypi/numpy@2.4"),
    ],
)
def test_package_urls(made, name, purl):
    assert component(made, name)["purl"] == purl


@pytest.mark.parametrize(
    ("name", "licences"),
    [
        ("app", [{"license": {"id": "MIT"}}]),
        ("numpy", [{"expression": "BSD-3-Clause AND 0BSD AND MIT"}]),
        (
            "odd",
            [
                {"license": {"name": "BSD License"}},
                {"license": {"name": "MIT OR Apache-2.0"}},
            ],
        ),
        ("silent", []),
    ],
)
def test_licences(made, name, licences):
    told = component(made, name).get("licenses", [])
    stripped = [
        {
            key: {k: v for k, v in value.items() if k in {"id", "name"}}
            if key == "license"
            else value
            for key, value in one.items()
            if key in {"license", "expression"}
        }
        for one in told
    ]
    assert sorted(stripped, key=str) == sorted(licences, key=str)


def test_hashes(made):
    assert component(made, "app")["hashes"] == [
        {"alg": "SHA-512", "content": "01" * 64}
    ]
    assert "hashes" not in component(made, "numpy")


def test_the_image_depends_on_everything(made, image):
    refs = {one["bom-ref"] for one in made["components"]}
    top = made["metadata"]["component"]["bom-ref"]
    (depends,) = [one["dependsOn"] for one in made["dependencies"] if one["ref"] == top]
    assert set(depends) == refs
    assert len(refs) == len(PACKAGES)


def test_equal_images_give_equal_documents(image):
    assert document(image, PACKAGES) == document(image, list(reversed(PACKAGES)))


def test_a_document_off_the_schema_is_not_written(image, monkeypatch):
    monkeypatch.setattr(bom.JsonStrictValidator, "validate_str", lambda *_: "a reason")
    with pytest.raises(InvalidDocumentError, match="viewer: a reason"):
        document(image, PACKAGES)
