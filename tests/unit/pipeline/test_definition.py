import json

import botocore.session
import pytest
from botocore.validate import ParamValidator

from isocenter.core.errors import ConfigurationError
from isocenter.pipeline.definition import (
    ABSENT,
    Options,
    Security,
    StepOptions,
    render,
    template,
    trainer_beside,
)
from isocenter.pipeline.training.hyperparameters import Hyperparameters

# The placeholders that pipeline/authoring/definition.py builds the template with.
ROLE = "arn:aws:iam::111122223333:role/isocenter-pipeline"
REGISTRY = "111122223333.dkr.ecr.us-east-1.amazonaws.com/isocenter"
PLACEHOLDERS = {
    "role": ROLE,
    "fetcher_image_uri": f"{REGISTRY}/fetcher:placeholder",
    "default_bucket": "isocenter-111122223333",
    "region": "us-east-1",
}
EVERYTHING = Options(
    **PLACEHOLDERS | {"region": "eu-west-1", "default_bucket": "other-bucket"},
    trainer_image_uri="registry.example/own:2",
    trainer_entrypoint=(),
    hyperparameters={"steps": "7"},
    fetch=StepOptions(instance_type="ml.m5.4xlarge", volume_gb=500, max_runtime_s=60),
    train=StepOptions(
        instance_type="ml.g5.xlarge",
        volume_gb=50,
        max_runtime_s=120,
        role="arn:aws:iam::111122223333:role/trainer",
    ),
    security=Security(
        subnets=("subnet-1",),
        security_group_ids=("sg-1",),
        kms_key="arn:aws:kms:eu-west-1:111122223333:key/k",
        trainer_network_isolation=False,
    ),
)


@pytest.fixture(scope="module")
def api():
    return botocore.session.get_session().get_service_model("sagemaker")


def step(definition, name):
    return next(s for s in definition["Steps"] if s["Name"] == name)


def resolve(node, definition, values):
    """The request that SageMaker makes of a step's Arguments."""
    if isinstance(node, list):
        return [resolve(item, definition, values) for item in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Get"}:
        return look_up(node["Get"], definition, values)
    if set(node) == {"Std:Join"}:
        join = node["Std:Join"]
        return join["On"].join(resolve(join["Values"], definition, values))
    return {key: resolve(value, definition, values) for key, value in node.items()}


def look_up(name, definition, values):
    kind, _, rest = name.partition(".")
    if kind == "Parameters":
        defaults = {p["Name"]: p["DefaultValue"] for p in definition["Parameters"]}
        return (defaults | values)[rest]
    if kind == "Execution":
        return {"PipelineExecutionId": "abc123def456"}[rest]
    source, _, path = rest.partition(".")
    assert path == "ProcessingOutputConfig.Outputs['dataset'].S3Output.S3Uri"
    outputs = step(definition, source)["Arguments"]["ProcessingOutputConfig"]
    found = next(o for o in outputs["Outputs"] if o["OutputName"] == "dataset")
    return resolve(found["S3Output"]["S3Uri"], definition, values)


def requests(definition, **values):
    return {
        s["Name"]: resolve(s["Arguments"], definition, values)
        for s in definition["Steps"]
    }


def test_placeholders_give_back_the_template():
    assert render(Options(**PLACEHOLDERS)) == template()


def test_template_asks_for_no_experiment_and_its_account_never_stays():
    definition = template()
    assert set(definition) == {"Version", "Metadata", "Parameters", "Steps"}
    assert definition["Version"] == "2020-12-01"
    elsewhere = Options(
        role="arn:aws:iam::444455556666:role/r",
        fetcher_image_uri="444455556666.dkr.ecr.eu-west-1.amazonaws.com/fetcher:1",
        default_bucket="bucket",
        region="eu-west-1",
    )
    for placeholder in ("111122223333", "us-east-1"):
        assert placeholder in json.dumps(definition)
        assert placeholder not in json.dumps(render(elsewhere))


@pytest.mark.parametrize("options", [Options(**PLACEHOLDERS), EVERYTHING])
def test_steps_are_requests_of_the_api(api, options):
    made = requests(render(options), DatastoreId="d" * 32, ImageSetId="i" * 32)
    for name, shape, job in (
        ("FetchImageData", "CreateProcessingJobRequest", "ProcessingJobName"),
        ("TrainModel", "CreateTrainingJobRequest", "TrainingJobName"),
    ):
        report = ParamValidator().validate(
            made[name] | {job: "job"}, api.shape_for(shape)
        )
        assert not report.has_errors(), report.generate_report()


def test_definition_is_a_pipeline_of_the_api(api):
    request = {
        "PipelineName": "ahi-mlops-pipeline",
        "PipelineDefinition": json.dumps(render(EVERYTHING)),
        "RoleArn": ROLE,
        "ClientRequestToken": "t" * 32,
    }
    shape = api.shape_for("CreatePipelineRequest")
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert len(request["PipelineDefinition"]) < 1 << 20


@pytest.mark.parametrize(
    "given",
    [
        {"DatastoreId": "d" * 32, "ImageSetId": "i" * 32},
        {"DatastoreId": "d" * 32, "RequestS3Uri": "s3://b/request.json"},
        {"RequestS3Uri": "s3://b/request.json"},
    ],
)
def test_a_start_may_leave_parameters_out(given):
    application = requests(render(Options(**PLACEHOLDERS)), **given)["FetchImageData"][
        "AppSpecification"
    ]
    arguments = application["ContainerArguments"]
    assert arguments[0] == "fetch"
    flags = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    assert flags == {
        "--datastore-id": given.get("DatastoreId", ABSENT),
        "--image-set-id": given.get("ImageSetId", ABSENT),
        "--request-s3-uri": given.get("RequestS3Uri", ABSENT),
        "--output-dir": "/opt/ml/processing/output",
    }
    # CreateProcessingJob refuses empty ones, and longer than 256.
    assert all(0 < len(argument) <= 256 for argument in arguments)


def test_training_reads_what_fetching_writes():
    made = requests(render(Options(**PLACEHOLDERS)), OutputS3Uri="s3://b/runs/n/r/1")
    output = made["FetchImageData"]["ProcessingOutputConfig"]["Outputs"][0]
    channel = made["TrainModel"]["InputDataConfig"][0]
    dataset = "s3://b/runs/n/r/1/abc123def456/dataset"
    assert output["S3Output"]["S3Uri"] == dataset
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == dataset
    assert channel["ChannelName"] == "dataset"
    assert made["TrainModel"]["OutputDataConfig"]["S3OutputPath"] == (
        "s3://b/runs/n/r/1/abc123def456/model"
    )


def test_manual_starts_write_to_the_default_bucket():
    made = requests(render(EVERYTHING))
    output = made["FetchImageData"]["ProcessingOutputConfig"]["Outputs"][0]
    assert output["S3Output"]["S3Uri"].startswith("s3://other-bucket/runs/manual/")


def test_every_option_arrives():
    made = requests(render(EVERYTHING))
    fetch, train = made["FetchImageData"], made["TrainModel"]
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    key = EVERYTHING.security.kms_key
    assert fetch["ProcessingResources"]["ClusterConfig"] == {
        "InstanceType": "ml.m5.4xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 500,
        "VolumeKmsKeyId": key,
    }
    assert fetch["NetworkConfig"] == {"VpcConfig": vpc}
    assert fetch["ProcessingOutputConfig"]["KmsKeyId"] == key
    assert fetch["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert fetch["RoleArn"] == ROLE
    assert set(fetch["Environment"].values()) == {"eu-west-1"}
    assert train["AlgorithmSpecification"]["TrainingImage"] == "registry.example/own:2"
    assert "ContainerEntrypoint" not in train["AlgorithmSpecification"]
    assert train["HyperParameters"]["steps"] == "7"
    assert train["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert train["ResourceConfig"]["VolumeKmsKeyId"] == key
    assert train["OutputDataConfig"]["KmsKeyId"] == key
    assert train["VpcConfig"] == vpc
    assert train["EnableNetworkIsolation"] is False
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 120}
    assert train["RoleArn"] == "arn:aws:iam::111122223333:role/trainer"


def test_hyperparameters_are_the_training_steps_defaults():
    given = step(template(), "TrainModel")["Arguments"]["HyperParameters"]
    assert Hyperparameters.model_validate(given) == Hyperparameters()
    assert set(given) == set(Hyperparameters.model_fields)


@pytest.mark.parametrize(
    ("fetcher", "trainer"),
    [
        ("r.example/isocenter/fetcher", "r.example/isocenter/trainer"),
        ("r.example/isocenter/fetcher:1.2", "r.example/isocenter/trainer:1.2"),
        ("r.example:5000/isocenter-fetcher:1", "r.example:5000/isocenter-trainer:1"),
        ("fetcher", "trainer"),
    ],
)
def test_trainer_image_follows_from_the_fetchers(fetcher, trainer):
    assert trainer_beside(fetcher) == trainer


@pytest.mark.parametrize(
    "fetcher",
    [
        "r.example/fetcher@sha256:" + "0" * 64,
        "r.example/fetcher/image:1",
        "r.example/assets:fetcher",
    ],
)
def test_trainer_image_that_does_not_follow_must_be_given(fetcher):
    with pytest.raises(ConfigurationError, match="give trainer_image_uri"):
        trainer_beside(fetcher)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"role": "admin"}, "role"),
        ({"default_bucket": "s3://bucket"}, "default_bucket"),
        ({"region": "Frankfurt"}, "region"),
        ({"pipeline_name": "a b"}, "pipeline_name"),
        ({"trainer_image_uri": "two words"}, "trainer_image_uri"),
        ({"fetcher_image_uri": "r/fetcher:" + "1" * 256}, "fetcher_image_uri"),
        ({"train": StepOptions(role="x")}, "train.role"),
    ],
)
def test_unusable_options_are_named(wrong, named):
    with pytest.raises(ConfigurationError, match=f"^{named} is not usable"):
        Options(**PLACEHOLDERS | wrong)


def test_half_a_vpc_is_refused():
    with pytest.raises(ConfigurationError, match="give both or none"):
        Security(subnets=("subnet-1",))
