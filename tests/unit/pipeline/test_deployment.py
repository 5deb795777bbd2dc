import json

import pytest

from isocenter.core.errors import DeniedError, RefusedError
from isocenter.pipeline import get_pipeline

ROLE = "arn:aws:iam::111122223333:role/isocenter-pipeline"
ARN = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/ahi-mlops-pipeline"


@pytest.fixture
def pipeline():
    # The call of the deployment guide, word for word.
    return get_pipeline(
        role=ROLE,
        pipeline_name="ahi-mlops-pipeline",
        fetcher_image_uri="111122223333.dkr.ecr.eu-west-1.amazonaws.com/fetcher:1",
        default_bucket="bucket",
        region="eu-west-1",
    )


@pytest.fixture
def request_of(pipeline):
    return {
        "PipelineName": "ahi-mlops-pipeline",
        "PipelineDefinition": pipeline.definition(),
        "RoleArn": ROLE,
    }


def test_definition_is_json_text(pipeline):
    names = [step["Name"] for step in json.loads(pipeline.definition())["Steps"]]
    assert names == ["FetchImageData", "TrainModel"]


def test_new_pipeline_is_created(pipeline, sagemaker, request_of):
    client, stub = sagemaker
    stub.add_response("create_pipeline", {"PipelineArn": ARN}, request_of)
    assert pipeline.upsert(role_arn=ROLE, client=client) == ARN


@pytest.mark.parametrize("code", ["ValidationException", "ConflictException"])
def test_existing_pipeline_is_updated(pipeline, sagemaker, request_of, code):
    client, stub = sagemaker
    stub.add_client_error("create_pipeline", code, "names must be unique", 400)
    stub.add_response("update_pipeline", {"PipelineArn": ARN}, request_of)
    assert pipeline.upsert(ROLE, client=client) == ARN


def test_refused_definition_is_told_as_it_was(pipeline, sagemaker):
    client, stub = sagemaker
    stub.add_client_error("create_pipeline", "ValidationException", "bad step", 400)
    stub.add_client_error("update_pipeline", "ResourceNotFound", "no pipeline", 400)
    with pytest.raises(RefusedError, match=r"could not create .* bad step"):
        pipeline.upsert(ROLE, client=client)


def test_denial_does_not_become_an_update(pipeline, sagemaker):
    client, stub = sagemaker
    stub.add_client_error("create_pipeline", "AccessDeniedException", "no", 403)
    with pytest.raises(DeniedError, match="create pipeline ahi-mlops-pipeline"):
        pipeline.upsert(ROLE, client=client)


def test_client_is_made_for_the_pipelines_region(pipeline, sagemaker, monkeypatch):
    client, stub = sagemaker
    stub.add_response("create_pipeline", {"PipelineArn": ARN})
    made = []

    def make(service, **options):
        made.append((service, options["region"]))
        return client

    monkeypatch.setattr("isocenter.core.aws.client", make)
    pipeline.upsert(ROLE)
    assert made == [("sagemaker", "eu-west-1")]
