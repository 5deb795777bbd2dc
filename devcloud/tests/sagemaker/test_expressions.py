"""Expressions: references read, values resolved."""

import pytest

from isocenter.devcloud.sagemaker.errors import NotBuiltError, ValidationError
from isocenter.devcloud.sagemaker.expressions import (
    Reference,
    Scope,
    is_expression,
    parse_reference,
    references,
    resolve,
)

JOB = {
    "ProcessingOutputConfig": {
        "Outputs": [
            {"OutputName": "masks", "S3Output": {"S3Uri": "s3://b/masks"}},
            {"OutputName": "frames", "S3Output": {"S3Uri": "s3://b/frames"}},
        ]
    },
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
}
SCOPE = Scope(
    parameters={"Epochs": 3, "Rate": 0.5, "Flip": True, "Id": "abc"},
    execution={"PipelineExecutionId": "abcdefghijkl"},
    step={"Fetch": JOB}.__getitem__,
)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Parameters.ImageSetId", Reference("Parameters", "ImageSetId")),
        ("Parameters.with-dash_1", Reference("Parameters", "with-dash_1")),
        ("Execution.PipelineName", Reference("Execution", "PipelineName")),
        (
            "Steps.A-b.Outputs['frames'].S3Uri",
            Reference("Steps", "A-b", ("Outputs", "frames", "S3Uri")),
        ),
        ('Steps.A.Outputs["a.b"]', Reference("Steps", "A", ("Outputs", "a.b"))),
        ("Steps.A.Outputs[10].X", Reference("Steps", "A", ("Outputs", 10, "X"))),
    ],
)
def test_references(text, reference):
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Parameters",
        "Parameters.",
        "Execution.Unknown",
        "Steps.A",
        "Steps.A.",
        "Steps.A.Outputs['x'",
        "Steps.A.Outputs[x]",
        "Steps.A.-",
        "PropertyFiles.A",
        "parameters.x",
    ],
)
def test_unreadable_references(text):
    with pytest.raises(ValidationError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("plain", "plain"),
        (None, None),
        ({"Get": "Parameters.Epochs"}, 3),
        ({"Get": "Execution.PipelineExecutionId"}, "abcdefghijkl"),
        (
            {
                "Get": "Steps.Fetch.ProcessingOutputConfig.Outputs['frames']"
                ".S3Output.S3Uri"
            },
            "s3://b/frames",
        ),
        (
            {"Get": "Steps.Fetch.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri"},
            "s3://b/masks",
        ),
        (
            {
                "Std:Join": {
                    "On": "/",
                    "Values": ["s3:/", "b", {"Get": "Parameters.Id"}],
                }
            },
            "s3://b/abc",
        ),
        ({"Std:Join": {"Values": ["a", {"Get": "Parameters.Flip"}]}}, "atrue"),
        (
            {"Std:Join": {"On": ",", "Values": [{"Get": "Parameters.Rate"}, 2]}},
            "0.5,2",
        ),
        (
            {"Std:Join": {"On": "-", "Values": [{"Std:Join": {"Values": ["x"]}}, "y"]}},
            "x-y",
        ),
        ({"a": [{"Get": "Parameters.Epochs"}], "gone": None}, {"a": [3]}),
        # A structure of two members is no expression, whatever one is called.
        ({"Get": "x", "Put": "y"}, {"Get": "x", "Put": "y"}),
        ({"Get": {"nested": 1}}, {"Get": {"nested": 1}}),
    ],
)
def test_values(value, resolved):
    assert resolve(value, SCOPE) == resolved


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"Get": "Steps.Fetch.ModelArtifacts.Other"}, ValidationError),
        (
            {"Get": "Steps.Fetch.ProcessingOutputConfig.Outputs['none']"},
            ValidationError,
        ),
        ({"Get": "Execution.TrainingJobName"}, ValidationError),
        ({"Std:Join": {"On": "/", "Values": "abc"}}, ValidationError),
        ({"Std:Join": {"On": 1, "Values": []}}, ValidationError),
        ({"Std:Join": {"Values": [["list"]]}}, ValidationError),
        ({"Std:JsonGet": {"PropertyFile": "x"}}, NotBuiltError),
    ],
)
def test_values_that_have_none(value, error):
    with pytest.raises(error):
        resolve(value, SCOPE)


def test_every_reference_is_found():
    value = {
        "a": [{"Get": "Parameters.X"}, 1],
        "b": {"Std:Join": {"On": "", "Values": ["c", {"Get": "Parameters.Y"}]}},
    }
    assert [one.name for one in references(value)] == ["X", "Y"]
    assert not is_expression({"a": 1})
    assert not is_expression("Get")
