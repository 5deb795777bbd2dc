"""Jobs as the engine makes them from the SDK's definition."""

import json

import pytest

from isocenter.devcloud.sagemaker.expressions import Scope, resolve
from isocenter.devcloud.sagemaker.jobs import create_job, describe

PREFIX = "arn:aws:sagemaker:eu-west-1:111122223333"


@pytest.fixture
def make_job(definition):
    """A job of a step; `change` edits the resolved arguments before."""

    def make(step_name, change=None, name=None):
        steps = {step["Name"]: step for step in definition["Steps"]}
        step = steps[step_name]
        scope = Scope(
            parameters={"ImageSetId": "i" * 32, "DatastoreId": "d" * 32},
            execution={"PipelineExecutionId": "abcdefghijkl"},
            step=lambda other: describe(make(other)),
        )
        arguments = json.loads(json.dumps(resolve(step["Arguments"], scope)))
        if change:
            change(arguments)
        name = name or f"pipelines-abcdefghijkl-{step_name}-0123456789"
        return create_job(step["Type"], name, PREFIX, arguments, now=1000.0)

    return make
