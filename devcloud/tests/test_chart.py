"""charts/devcloud: its values fit the schema, the settings and the seed."""

import json
from pathlib import Path
from types import SimpleNamespace

import boto3
import jsonschema
import pytest
import yaml

from isocenter.devcloud.seed import Call, apply
from isocenter.devcloud.settings import Settings
from isocenter.devcloud.shapes import check_input

CHART = Path(__file__).parents[2] / "charts" / "devcloud"
# Fields the templates set by themselves, from the release and other values.
SET_BY_TEMPLATE = {
    "host",
    "account_id",
    "region",
    "data_dir",
    "seed_file",
    "namespace",
    "instance",
    "public_url",
    "image",
    "image_pull_policy",
    "step_service_account",
}
# The containers' ports are the defaults.
FIXED = {"aws_port", "healthimaging_port", "sagemaker_port"}


@pytest.fixture
def values():
    return yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture
def schema():
    return json.loads((CHART / "values.schema.json").read_text())


def test_values_fit_the_schema(values, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [e.json_path for e in validator.iter_errors(values)] == ["$.image"]
    validator.validate({**values, "image": "devcloud:1"})
    values["config"]["executer"] = "manual"
    assert not validator.is_valid({**values, "image": "devcloud:1"})


def test_config_is_the_settings(values, schema):
    fields = set(Settings.model_fields)
    assert set(values["config"]) == fields - SET_BY_TEMPLATE - FIXED
    allowed = schema["properties"]["config"]["properties"]
    assert set(allowed) == set(values["config"])
    made = Settings(**values["config"])
    assert made.executor == "kubernetes"


def test_the_template_sets_the_rest():
    helpers = (CHART / "templates" / "_names.tpl").read_text()
    for field in SET_BY_TEMPLATE:
        assert f"DEVCLOUD_{field.upper()}," in helpers


def test_the_seed_is_made_of_valid_calls(values):
    checked = []

    def connect(service):
        client = boto3.client(
            service,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

        def check(params, model, **_):
            if service in {"medical-imaging", "events"}:
                check_input(service, model.name, params)
            checked.append((service, model.name, params))

        def answer(**_):
            return SimpleNamespace(status_code=200), {"ResponseMetadata": {}}

        client.meta.events.register("before-parameter-build", check)
        client.meta.events.register("before-call", answer)
        return client

    apply(
        [Call(**call) for call in values["seed"]],
        connect,
        {"account": "123456789012", "region": "us-east-1"},
    )
    targets = [p["Targets"][0]["Arn"] for _, name, p in checked if name == "PutTargets"]
    assert set(targets) == {"arn:aws:sqs:us-east-1:123456789012:isocenter-events"}
    patterns = {
        p["Name"]: json.loads(p["EventPattern"])
        for _, name, p in checked
        if name == "PutRule"
    }
    assert set(patterns) == {
        "ahi-imageset-created-trigger",
        "ahi-import-job-ended",
        "s3-batch-sealed",
        "sagemaker-pipeline-status",
    }
    assert len(targets) == len(patterns)
