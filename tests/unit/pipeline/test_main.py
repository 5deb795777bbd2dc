import json

import pytest

from isocenter.pipeline.main import main

ROLE = "arn:aws:iam::111122223333:role/isocenter-pipeline"
ARN = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/p"
REQUIRED = [
    *("--role-arn", ROLE),
    *("--fetcher-image-uri", "registry.example/fetcher:1"),
    *("--default-bucket", "bucket"),
]
REGION = ["--region", "eu-west-1"]


def test_definition_is_printed(capsys):
    options = ["--hyperparameter", "steps=3", "--train-instance-type", "ml.c5.large"]
    assert main(["definition", *REQUIRED, *REGION, *options]) == 0
    steps = json.loads(capsys.readouterr().out)["Steps"]
    train = steps[1]["Arguments"]
    assert train["HyperParameters"]["steps"] == "3"
    assert train["ResourceConfig"]["InstanceType"] == "ml.c5.large"
    assert train["EnableNetworkIsolation"] is True


def test_region_is_the_environments_unless_given(capsys, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-2")
    assert main(["definition", *REQUIRED]) == 0
    fetch = json.loads(capsys.readouterr().out)["Steps"][0]["Arguments"]
    assert fetch["Environment"]["AWS_REGION"] == "ap-southeast-2"


def test_upsert_prints_the_arn(capsys, monkeypatch, sagemaker):
    client, stub = sagemaker
    stub.add_response("create_pipeline", {"PipelineArn": ARN})
    monkeypatch.setattr("isocenter.core.aws.client", lambda *_, **__: client)
    assert main(["upsert", *REQUIRED, *REGION, "--pipeline-name", "p"]) == 0
    assert capsys.readouterr().out == f"{ARN}\n"


def test_refusal_is_exit_code_1(capsys, monkeypatch, sagemaker):
    client, stub = sagemaker
    stub.add_client_error("create_pipeline", "AccessDeniedException", "not you", 403)
    monkeypatch.setattr("isocenter.core.aws.client", lambda *_, **__: client)
    assert main(["upsert", *REQUIRED, *REGION]) == 1
    assert "AccessDeniedException: not you" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pipeline-name", "a b"], "pipeline_name is not usable"),
        (["--hyperparameter", "steps"], "--hyperparameter 'steps' is not NAME=VALUE"),
        (["--subnet", "subnet-1"], "security group ids"),
    ],
)
def test_unusable_argument_is_exit_code_2(capsys, options, said):
    assert main(["definition", *REQUIRED, *REGION, *options]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
