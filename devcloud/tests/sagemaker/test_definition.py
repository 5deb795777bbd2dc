"""Pipeline definitions: what is accepted, what is refused and in which words."""

import json

import pytest

from isocenter.devcloud.sagemaker.definition import bind, parse
from isocenter.devcloud.sagemaker.errors import NotBuiltError, ValidationError


def test_the_sdk_s_definition(definition_text):
    parsed = parse(definition_text)
    assert list(parsed.steps) == ["FetchFrames", "Train"]
    assert parsed.steps["FetchFrames"].after == frozenset()
    # The Get is the only thing that orders the two.
    assert parsed.steps["Train"].after == {"FetchFrames"}
    assert set(parsed.parameters) == {"ImageSetId", "DatastoreId"}


def broken(change):
    def apply(definition):
        change(definition)
        return definition

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(Version="2021"), "Version"),
        (lambda d: d.pop("Version"), "Version"),
        (lambda d: d.update(Steps=[]), "at least one step"),
        (lambda d: d.update(Steps="x"), "at least one step"),
        (lambda d: d["Steps"][0].update(Type="Fetching"), "Unknown type"),
        (lambda d: d["Steps"][0].update(Name="a b"), "Invalid step name"),
        (lambda d: d["Steps"][0].pop("Arguments"), "no Arguments"),
        (lambda d: d["Steps"][0].update(DependsOn=["None"]), "unknown steps"),
        (lambda d: d["Steps"][0].update(DependsOn="Train"), "must be a list"),
        (lambda d: d["Steps"][0].update(DependsOn=["Train"]), "cycle"),
        (lambda d: d["Steps"][0].update(DependsOn=["FetchFrames"]), "cycle"),
        (lambda d: d["Steps"].append(d["Steps"][0]), "Duplicate step"),
        (lambda d: d["Parameters"].pop(), "unknown parameter DatastoreId"),
        (lambda d: d["Parameters"].append(d["Parameters"][0]), "Duplicate parameter"),
        (lambda d: d["Parameters"][0].update(Type="Number"), "Unknown type"),
        (lambda d: d["Parameters"][0].update(Name="a.b"), "Invalid parameter"),
        (lambda d: d["Parameters"][0].update(DefaultValue=1), "not a String"),
        (
            lambda d: d["Steps"][1]["Arguments"].update(
                HyperParameters={"x": {"Get": "Steps.FetchFrames.Outputs['frames']"}}
            ),
            "unknown property Outputs",
        ),
        (
            lambda d: d["Steps"][1]["Arguments"].update(
                HyperParameters={"x": {"Get": "Steps.Other.ProcessingJobName"}}
            ),
            "unknown steps",
        ),
        (
            lambda d: d["Steps"][1]["Arguments"].update(
                HyperParameters={"x": {"Get": "Whatever"}}
            ),
            "Unknown reference",
        ),
    ],
)
def test_refused(definition, change, words):
    change(definition)
    with pytest.raises(ValidationError, match=words):
        parse(json.dumps(definition))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
def test_no_json_object(text):
    with pytest.raises(ValidationError, match="Unable to parse"):
        parse(text)


def test_step_types_that_aws_has_and_we_have_not(definition):
    definition["Steps"][1]["Type"] = "Transform"
    with pytest.raises(NotBuiltError, match="Transform"):
        parse(json.dumps(definition))


PARAMETERS = [
    {"Name": "Id", "Type": "String"},
    {"Name": "Epochs", "Type": "Integer", "DefaultValue": 1},
    {"Name": "Rate", "Type": "Float", "DefaultValue": 1},
    {"Name": "Flip", "Type": "Boolean", "DefaultValue": False},
    {
        "Name": "Format",
        "Type": "String",
        "DefaultValue": "npy",
        "EnumValues": ["npy", "nifti"],
    },
]


@pytest.fixture
def declared(definition):
    definition["Parameters"] += PARAMETERS
    definition["Parameters"] = definition["Parameters"][2:]
    del definition["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"]
    return parse(json.dumps(definition))


def test_values_have_their_types(declared):
    assert bind(declared, {"Id": "x"}) == {
        "Id": "x",
        "Epochs": 1,
        "Rate": 1,
        "Flip": False,
        "Format": "npy",
    }
    given = {
        "Id": "x",
        "Epochs": "20",
        "Rate": "1e-3",
        "Flip": "True",
        "Format": "nifti",
    }
    bound = bind(declared, given)
    assert bound == {**given, "Epochs": 20, "Rate": 1e-3, "Flip": True}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Id.*must be provided"),
        ({"Id": "x", "Id2": "y"}, "Id2"),
        ({"Id": ""}, r'Id: \[string "" is too short'),
        ({"Id": "x", "Epochs": "many"}, "Epochs is not a Integer"),
        ({"Id": "x", "Rate": ""}, "Rate is not a Float"),
        ({"Id": "x", "Flip": "yes"}, "Flip is not Boolean"),
        ({"Id": "x", "Format": "zip"}, "not one of"),
    ],
)
def test_values_are_refused(declared, given, words):
    with pytest.raises(ValidationError, match=words):
        bind(declared, given)


def test_an_empty_default_is_no_value(definition):
    definition["Parameters"][0]["DefaultValue"] = ""
    declared = parse(json.dumps(definition))
    with pytest.raises(ValidationError, match=r"ImageSetId: .* too short"):
        bind(declared, {"DatastoreId": "d"})
    assert bind(declared, {"DatastoreId": "d", "ImageSetId": "i"})["ImageSetId"] == "i"
