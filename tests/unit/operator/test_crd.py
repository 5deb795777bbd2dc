from pathlib import Path

import pytest
import yaml

from isocenter.operator.crd import MODELS, definition, files, structural
from isocenter.operator.resources import DICOMImportJob, TrainingRun, TrainingTrigger

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "charts/isocenter/templates/crd"
EXAMPLES = ROOT / "docs/examples"


def test_the_charts_definitions_are_up_to_date():
    there = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert there == files(), "run: python -m isocenter.operator.crd " + str(
        FOLDER.relative_to(ROOT)
    )


def schemas(node):
    """Every schema in a schema."""
    yield node
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield from schemas(node[name])
    for member in node.get("properties", {}).values():
        yield from schemas(member)


@pytest.mark.parametrize("model", MODELS)
def test_schemas_are_structural(model):
    (version,) = definition(model)["spec"]["versions"]
    for schema in schemas(version["schema"]["openAPIV3Schema"]):
        assert "type" in schema
        assert not {"$ref", "anyOf", "const", "title", "prefixItems"} & schema.keys()
        assert schema.get("additionalProperties") is not False


def test_every_rewrite():
    definitions = {"A": {"title": "A", "type": "object", "properties": {}}}
    schema = {
        "title": "X",
        "properties": {
            "title": {"const": 1, "type": "integer"},
            "a": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "default": None},
        },
        "additionalProperties": False,
    }
    assert structural(schema, definitions) == {
        "properties": {
            "title": {"enum": [1], "type": "integer"},
            "a": {"type": "object", "properties": {}},
        }
    }


def test_a_status_has_no_defaults_and_a_spec_has_them():
    (version,) = definition(TrainingTrigger)["spec"]["versions"]
    members = version["schema"]["openAPIV3Schema"]["properties"]
    assert not any("default" in s for s in schemas(members["status"]))
    spec = members["spec"]["properties"]
    assert spec["events"]["default"] == ["Created", "Updated", "Copied"]
    assert spec["includeNonPrimary"]["default"] is False


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("training-run.yaml", TrainingRun),
        ("training-trigger.yaml", TrainingTrigger),
        ("dicom-import-job.yaml", DICOMImportJob),
    ],
)
def test_examples_parse(name, model):
    body = yaml.safe_load((EXAMPLES / name).read_text())
    assert body["kind"] == model.__name__
    body["metadata"]["namespace"] = "n"
    parsed = model.model_validate(body)
    known = parsed.spec.model_dump(by_alias=True, mode="json")
    assert set(body["spec"]) <= set(known)
