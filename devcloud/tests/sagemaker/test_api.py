"""SageMaker over HTTP by boto3, with the manual executor."""

import hashlib
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::111122223333:role/pipeline"
PARAMETERS = [
    {"Name": "ImageSetId", "Value": "i" * 32},
    {"Name": "DatastoreId", "Value": "d" * 32},
]


def token(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def pipeline(sagemaker, definition_text):
    sagemaker.create_pipeline(
        PipelineName="Image-Sets", PipelineDefinition=definition_text, RoleArn=ROLE
    )
    return "Image-Sets"


@pytest.fixture
def start(sagemaker, pipeline):
    def call(text="one", **more):
        request = {
            "PipelineName": pipeline,
            "ClientRequestToken": token(text),
            "PipelineParameters": PARAMETERS,
            **more,
        }
        return sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"]

    return call


@pytest.fixture
def control(served):
    def call(method, path, body=None):
        request = urllib.request.Request(
            f"{served.url}/_devcloud/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()

    return call


@pytest.fixture
def end_step(control, sagemaker, eventually):
    def call(arn, step, **body):
        assert eventually(lambda: status_of(sagemaker, arn, step) == "Executing")
        control(
            "PUT",
            f"sagemaker/executions/{arn.rsplit('/', 1)[1]}/steps/{step}",
            {"status": "Succeeded", **body},
        )

    return call


def steps_of(sagemaker, arn):
    answer = sagemaker.list_pipeline_execution_steps(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


def status_of(sagemaker, arn, step=None):
    if step is not None:
        return steps_of(sagemaker, arn).get(step, {}).get("StepStatus")
    return sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)[
        "PipelineExecutionStatus"
    ]


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def test_an_execution_walks_to_its_end(sagemaker, start, end_step, control, eventually):
    arn = start(PipelineExecutionDisplayName="run-1")
    assert status_of(sagemaker, arn) == "Executing"
    assert "Train" not in steps_of(sagemaker, arn)
    end_step(arn, "FetchFrames")
    end_step(arn, "Train", log="val_loss=0.75\nval_loss=0.25\n")
    assert eventually(lambda: status_of(sagemaker, arn) == "Succeeded")

    identifier = arn.rsplit("/", 1)[1]
    assert arn.endswith(f":pipeline/image-sets/execution/{identifier}")
    assert len(identifier) == 12
    steps = steps_of(sagemaker, arn)
    assert list(steps) == ["FetchFrames", "Train"]
    assert all(step["StartTime"] <= step["EndTime"] for step in steps.values())
    name = steps["FetchFrames"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    assert name.startswith(f"pipelines-{identifier}-fetchframes-")

    job_names = {
        job["kind"]: job["name"] for job in json.loads(control("GET", "sagemaker/jobs"))
    }
    fetch = sagemaker.describe_processing_job(ProcessingJobName=job_names["Processing"])
    output = fetch["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert output == f"s3://mlops-artifacts-111122223333/runs/{identifier}/frames"
    arguments = fetch["AppSpecification"]["ContainerArguments"]
    assert arguments[1] == "d" * 32
    by_arn = sagemaker.describe_processing_job(ProcessingJobName=name)
    assert by_arn["ProcessingJobName"] == job_names["Processing"]
    train = sagemaker.describe_training_job(TrainingJobName=job_names["Training"])
    source = train["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert source == output
    assert train["ModelArtifacts"]["S3ModelArtifacts"] == (
        "s3://mlops-artifacts-111122223333/models/"
        f"{job_names['Training']}/output/model.tar.gz"
    )
    assert train["FinalMetricDataList"][0]["Value"] == 0.25
    walked = [entry["Status"] for entry in train["SecondaryStatusTransitions"]]
    assert walked == ["Starting", "Training", "Completed"]
    log = control("GET", f"sagemaker/jobs/{job_names['Training']}/log")
    assert log == "val_loss=0.75\nval_loss=0.25\n"


def test_a_failed_step_fails_the_execution(sagemaker, start, end_step, eventually):
    arn = start()
    reason = "AlgorithmError: CRC32 differs, exit code: 3"
    end_step(arn, "FetchFrames", status="Failed", reason=reason)
    assert eventually(lambda: status_of(sagemaker, arn) == "Failed")
    steps = steps_of(sagemaker, arn)
    assert list(steps) == ["FetchFrames"]
    assert steps["FetchFrames"]["FailureReason"] == reason
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert "FetchFrames" in described["FailureReason"]
    summaries = sagemaker.list_pipeline_executions(PipelineName="Image-Sets")
    (summary,) = summaries["PipelineExecutionSummaries"]
    assert summary["PipelineExecutionFailureReason"] == described["FailureReason"]


def test_a_token_starts_one_execution(sagemaker, start, end_step, eventually):
    arn = start("same")
    assert start("same") == arn
    assert start("other") != arn
    other = [{"Name": "ImageSetId", "Value": "x"}, PARAMETERS[1]]
    refused(lambda: start("same", PipelineParameters=other), "ConflictException")
    end_step(arn, "FetchFrames", status="Failed", reason="AlgorithmError: no")
    assert eventually(lambda: status_of(sagemaker, arn) == "Failed")
    assert start("same") == arn


def test_stop(sagemaker, start, eventually):
    arn = start()
    assert eventually(lambda: status_of(sagemaker, arn, "FetchFrames") == "Executing")
    request = {"PipelineExecutionArn": arn, "ClientRequestToken": token("stop")}
    sagemaker.stop_pipeline_execution(**request)
    assert status_of(sagemaker, arn) in {"Stopping", "Stopped"}
    assert eventually(lambda: status_of(sagemaker, arn) == "Stopped")
    assert status_of(sagemaker, arn, "FetchFrames") == "Stopped"
    assert "Train" not in steps_of(sagemaker, arn)
    assert sagemaker.stop_pipeline_execution(**request)["PipelineExecutionArn"] == arn
    again = {**request, "ClientRequestToken": token("stop again")}
    refused(lambda: sagemaker.stop_pipeline_execution(**again), "ConflictException")


def test_parameters_are_checked(sagemaker, start):
    assert "ImageSetId" in refused(
        lambda: start(PipelineParameters=PARAMETERS[1:]), "ValidationException"
    )
    more = [*PARAMETERS, {"Name": "Learning", "Value": "1"}]
    assert "Learning" in refused(
        lambda: start(PipelineParameters=more), "ValidationException"
    )
    twice = [*PARAMETERS, PARAMETERS[0]]
    refused(lambda: start(PipelineParameters=twice), "ValidationException")
    long = [{"Name": "ImageSetId", "Value": "x" * 1025}, PARAMETERS[1]]
    refused(lambda: start(PipelineParameters=long), "ValidationException")
    arn = start()
    listed = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert sorted(listed["PipelineParameters"], key=lambda one: one["Name"]) == (
        sorted(PARAMETERS, key=lambda one: one["Name"])
    )


def test_the_quota_of_concurrent_executions(start, control, eventually, end_step):
    control("PUT", "sagemaker/quotas", {"concurrent_executions": 2})
    first = start("1")
    start("2")
    refused(lambda: start("3"), "ResourceLimitExceeded")
    assert start("1") == first
    end_step(first, "FetchFrames", status="Failed", reason="AlgorithmError: no")
    assert eventually(lambda: _starts(start, "3"))


def _starts(start, text):
    try:
        return start(text)
    except ClientError:
        return None


def test_what_is_not_there(sagemaker, start):
    refused(lambda: start(PipelineName="other"), "ResourceNotFound")
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/p/execution/abcdefghijkl"
    for operation in ("describe_pipeline_execution", "list_pipeline_execution_steps"):
        call = getattr(sagemaker, operation)
        refused(lambda call=call: call(PipelineExecutionArn=arn), "ResourceNotFound")
    refused(
        lambda: sagemaker.describe_training_job(TrainingJobName="x"), "ResourceNotFound"
    )


def test_pipelines(sagemaker, pipeline, definition_text, definition):
    described = sagemaker.describe_pipeline(PipelineName=pipeline)
    assert described["PipelineDefinition"] == definition_text
    assert described["PipelineArn"].endswith(":pipeline/image-sets")
    definition["Steps"].pop()
    sagemaker.update_pipeline(
        PipelineName=pipeline, PipelineDefinition=json.dumps(definition)
    )
    described = sagemaker.describe_pipeline(PipelineName=described["PipelineArn"])
    assert json.loads(described["PipelineDefinition"]) == definition
    refused(
        lambda: sagemaker.create_pipeline(
            PipelineName=pipeline, PipelineDefinition=definition_text, RoleArn=ROLE
        ),
        "ValidationException",
    )
    refused(
        lambda: sagemaker.update_pipeline(
            PipelineName=pipeline, PipelineDefinition="{not json"
        ),
        "ValidationException",
    )
    arn = described["PipelineArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "imaging"}])
    tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "team", "Value": "imaging"}]
    sagemaker.delete_pipeline(PipelineName=pipeline, ClientRequestToken=token("del"))
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []


def test_a_pipeline_in_use_is_not_deleted(sagemaker, pipeline, start):
    start()
    refused(
        lambda: sagemaker.delete_pipeline(
            PipelineName=pipeline, ClientRequestToken=token("del")
        ),
        "ConflictException",
    )


def test_an_execution_keeps_the_definition_it_was_started_by(
    sagemaker, pipeline, start, definition, definition_text
):
    arn = start()
    definition["Steps"].pop()
    sagemaker.update_pipeline(
        PipelineName=pipeline, PipelineDefinition=json.dumps(definition)
    )
    kept = sagemaker.describe_pipeline_definition_for_execution(
        PipelineExecutionArn=arn
    )
    assert kept["PipelineDefinition"] == definition_text


def test_pages(sagemaker, start):
    arns = {start(str(number)) for number in range(5)}
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName="Image-Sets", PaginationConfig={"PageSize": 2}
    )
    found = [
        one["PipelineExecutionArn"]
        for page in pages
        for one in page["PipelineExecutionSummaries"]
    ]
    assert len(found) == 5
    assert set(found) == arns


def test_what_is_not_built_says_so_by_name(sagemaker):
    message = refused(sagemaker.list_models, "NotImplemented")
    assert "ListModels" in message


def test_faults(sagemaker, start, control):
    control("POST", "sagemaker/faults", {"operation": "ListPipelines", "times": 1})
    answer = sagemaker.list_pipelines()
    # botocore's retry hid the ThrottlingException.
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    fault = {"operation": "ListPipelines", "code": "AccessDeniedException"}
    control("POST", "sagemaker/faults", {**fault, "times": 9})
    refused(sagemaker.list_pipelines, "AccessDeniedException")
    control("DELETE", "sagemaker/faults")
    sagemaker.list_pipelines()


def test_controls_refuse_nonsense(start, control):
    start()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        control("PUT", "sagemaker/executions/none/steps/Train", {"status": "Succeeded"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        control("GET", "sagemaker/jobs/none/log")
    with pytest.raises(urllib.error.HTTPError, match="422"):
        control("PUT", "sagemaker/quotas", {"executions": 1})
