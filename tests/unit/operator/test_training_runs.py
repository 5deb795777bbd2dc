import json
from datetime import UTC, datetime, timedelta

import pytest

from isocenter.core.run_request import parse_request
from isocenter.operator.executions import display_name, request_token
from isocenter.operator.reconciling import Next
from isocenter.operator.training_runs import TrainingRuns

ONE = "1" * 32


@pytest.fixture
def runs(executions, healthimaging, healthimaging_api):
    healthimaging_api.add(ONE)
    return TrainingRuns(executions, healthimaging, image_set_checks=25)


@pytest.fixture
def look(runs, merged, now):
    """One look; answers the result and the body as it is stored afterwards."""

    def once(body):
        result = runs.reconcile(body, now)
        return result, merged(body, result.patch)

    return once


@pytest.fixture
def now():
    return datetime(2026, 11, 23, 10, tzinfo=UTC)


def condition(body, kind):
    return next(c for c in body["status"]["conditions"] if c["type"] == kind)


def test_a_run_from_start_to_end(look, run_body, sagemaker, s3):
    result, body = look(run_body)
    assert result.after is Next.POLL
    assert body["status"]["phase"] == "Starting"
    (arn,) = sagemaker.executions
    assert body["status"]["executionArn"] == arn
    request = sagemaker.executions[arn]["request"]
    output = "s3://a-bucket/runs/imaging/a-run/attempt-1"
    assert {p["Name"]: p["Value"] for p in request["PipelineParameters"]} == {
        "DatastoreId": "d" * 32,
        "ImageSetId": ONE,
        "RequestS3Uri": f"{output}/request.json",
        "OutputS3Uri": output,
        "Epochs": "2",
    }
    written = parse_request(
        s3.objects["runs/imaging/a-run/attempt-1/request.json"], source="s3"
    )
    assert (written.image_sets[0].id, written.image_sets[0].version_id) == (ONE, "1")
    assert written.run is not None
    assert written.run.uid == run_body["metadata"]["uid"]

    job = "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/fetch-1"
    training = "arn:aws:sagemaker:eu-west-1:111122223333:training-job/train-1"
    sagemaker.jobs["fetch-1"] = {
        "ProcessingOutputConfig": {
            "Outputs": [
                {"OutputName": "logs", "S3Output": {"S3Uri": "s3://b/logs"}},
                {"OutputName": "dataset", "S3Output": {"S3Uri": f"{output}/dataset"}},
            ]
        }
    }
    sagemaker.jobs["train-1"] = {
        "ModelArtifacts": {"S3ModelArtifacts": f"{output}/model.tar.gz"},
        "FinalMetricDataList": [{"MetricName": "loss", "Value": 0.25}],
    }
    sagemaker.steps[arn] = [
        {
            "StepName": "FetchImageData",
            "StepStatus": "Succeeded",
            "Metadata": {"ProcessingJob": {"Arn": job}},
        },
        {"StepName": "TrainModel", "StepStatus": "Executing"},
    ]
    result, body = look(body)
    assert body["status"]["phase"] == "Running"
    assert body["status"]["progress"] == "1/2"
    assert body["status"]["datasetS3Uri"] == f"{output}/dataset"
    asked = sagemaker.calls.count("DescribeProcessingJob")
    assert look(body)[0].patch == {}
    assert sagemaker.calls.count("DescribeProcessingJob") == asked

    sagemaker.steps[arn][1] |= {
        "StepStatus": "Succeeded",
        "Metadata": {"TrainingJob": {"Arn": training}},
    }
    sagemaker.executions[arn]["PipelineExecutionStatus"] = "Succeeded"
    result, body = look(body)
    assert (result.after, result.phase) == (Next.SETTLED, "Succeeded")
    assert body["status"]["modelS3Uri"] == f"{output}/model.tar.gz"
    assert body["status"]["metrics"] == [{"name": "loss", "value": "0.25"}]
    assert condition(body, "Succeeded")["status"] == "True"
    calls = list(sagemaker.calls)
    assert look(body)[0].patch == {}
    assert sagemaker.calls == calls


def test_killed_between_start_and_patch_starts_nothing_twice(look, run_body, sagemaker):
    look(run_body)
    # The status was never stored; meanwhile somebody suspended and released it.
    run_body["metadata"]["generation"] = 3
    _, body = look(run_body)
    assert len(sagemaker.executions) == 1
    assert body["status"]["executionArn"] in sagemaker.executions


def test_only_declared_parameters_are_passed(look, run_body, sagemaker):
    sagemaker.pipelines["train"] = json.dumps(
        {"Parameters": [{"Name": "RequestS3Uri"}], "Steps": []}
    )
    run_body["spec"]["pipeline"]["parameters"] = {"RequestS3Uri": "s3://mine/r.json"}
    look(run_body)
    (execution,) = sagemaker.executions.values()
    assert execution["request"]["PipelineParameters"] == [
        {"Name": "RequestS3Uri", "Value": "s3://mine/r.json"}
    ]


def test_many_image_sets_pass_no_single_id(
    look, run_body, sagemaker, healthimaging_api
):
    healthimaging_api.add("2" * 32)
    run_body["spec"]["imageSets"].append({"id": "2" * 32})
    look(run_body)
    (execution,) = sagemaker.executions.values()
    names = {p["Name"] for p in execution["request"]["PipelineParameters"]}
    assert names == {"DatastoreId", "RequestS3Uri", "OutputS3Uri", "Epochs"}


def test_suspended_calls_nobody(look, run_body, sagemaker, s3, healthimaging_api):
    run_body["spec"]["suspend"] = True
    result, body = look(run_body)
    assert result.after is Next.SETTLED
    assert condition(body, "Started")["reason"] == "Suspended"
    assert not sagemaker.calls + s3.calls + healthimaging_api.calls


def test_a_pipeline_that_does_not_exist_ends_the_run(look, run_body, sagemaker, s3):
    run_body["spec"]["pipeline"]["name"] = "tarin"
    result, body = look(run_body)
    assert result.after is Next.SETTLED
    assert body["status"]["phase"] == "Failed"
    assert condition(body, "Started")["reason"] == "PipelineNotFound"
    assert "pipeline tarin does not exist" in body["status"]["message"]
    assert not s3.objects


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("ResourceLimitExceeded", 400, "QuotaExceeded"),
        ("ThrottlingException", 400, "Throttled"),
        ("ConflictException", 409, "Throttled"),
        ("InternalFailure", 500, "AwsUnavailable"),
        ("AccessDeniedException", 403, "AccessDenied"),
    ],
)
def test_what_passes_is_waited_for(look, run_body, sagemaker, code, status, reason):
    sagemaker.fail("StartPipelineExecution", code, status=status)
    result, body = look(run_body)
    assert result.after is Next.BACK_OFF
    assert body["status"]["phase"] == "Pending"
    assert condition(body, "Started")["reason"] == reason
    _, body = look(body)
    assert body["status"]["phase"] == "Starting"


def test_a_refused_start_ends_the_run(look, run_body, sagemaker):
    sagemaker.fail("StartPipelineExecution", "ValidationException")
    _, body = look(run_body)
    assert body["status"]["phase"] == "Failed"
    assert condition(body, "Succeeded")["reason"] == "RequestRefused"


def test_an_unreachable_bucket_starts_nothing(look, run_body, sagemaker, s3):
    s3.fail("PutObject", "InternalError", status=500)
    _, body = look(run_body)
    assert condition(body, "Started")["reason"] == "AwsUnavailable"
    assert not sagemaker.executions
    look(body)
    assert len(sagemaker.executions) == 1


@pytest.mark.parametrize(
    ("change", "phase", "reason"),
    [
        ({"imageSetState": "LOCKED"}, "Pending", "ImageSetNotActive"),
        ({"imageSetState": "IMPORTING"}, "Pending", "ImageSetNotActive"),
        ({"imageSetState": "DELETED"}, "Failed", "ImageSetNotFound"),
        (None, "Failed", "ImageSetNotFound"),
    ],
)
def test_image_sets_are_confirmed_first(
    look, run_body, sagemaker, healthimaging_api, change, phase, reason
):
    if change is None:
        healthimaging_api.image_sets.clear()
    else:
        healthimaging_api.add(ONE, **change)
    _, body = look(run_body)
    assert body["status"]["phase"] == phase
    assert condition(body, "Started")["reason"] == reason
    assert ONE in body["status"]["message"]
    assert not sagemaker.executions


def test_a_large_run_leaves_the_check_to_the_fetcher(
    executions, healthimaging, healthimaging_api, run_body, now
):
    runs = TrainingRuns(executions, healthimaging, image_set_checks=0)
    assert runs.reconcile(run_body, now).phase == "Starting"
    assert "GetImageSet" not in healthimaging_api.calls


def test_a_description_that_fails_leaves_the_run_running(look, run_body, sagemaker):
    _, body = look(run_body)
    sagemaker.fail("DescribePipelineExecution", "ValidationException")
    result, body = look(body)
    assert result.after is Next.BACK_OFF
    assert body["status"]["phase"] == "Starting"
    assert condition(body, "Succeeded")["status"] == "Unknown"


def test_an_execution_that_vanished_ends_the_run(look, run_body, sagemaker):
    _, body = look(run_body)
    sagemaker.executions.clear()
    _, body = look(body)
    assert body["status"]["phase"] == "Failed"
    assert condition(body, "Succeeded")["reason"] == "ExecutionNotFound"


def test_results_that_may_not_be_read_do_not_hold_the_run(look, run_body, sagemaker):
    _, body = look(run_body)
    (arn,) = sagemaker.executions
    sagemaker.steps[arn] = [
        {
            "StepName": "TrainModel",
            "StepStatus": "Succeeded",
            "Metadata": {"TrainingJob": {"Arn": "a:training-job/t"}},
        }
    ]
    sagemaker.executions[arn]["PipelineExecutionStatus"] = "Succeeded"
    sagemaker.fail("DescribeTrainingJob", "AccessDeniedException")
    _, body = look(body)
    assert body["status"]["phase"] == "Succeeded"
    assert "modelS3Uri" not in body["status"]


def test_what_does_not_parse_is_told_once(look, run_body, runs, now):
    del run_body["spec"]["pipeline"]
    result, body = look(run_body)
    assert condition(body, "Started")["reason"] == "InvalidSpec"
    assert "spec.pipeline" in condition(body, "Started")["message"]
    assert result.after is Next.SETTLED
    assert runs.reconcile(body, now + timedelta(hours=1)).patch == {}


def test_token_and_display_name():
    uid = "0f2f5a3e-6a3b-4d0e-9f57-1f4f6f1f3c11"
    assert request_token(uid, 1) == request_token(uid, 1) != request_token(uid, 2)
    assert len(request_token(uid, 1)) == 64
    name = display_name("every.image--set-" + "x" * 200, uid)
    assert name.startswith("every-image-set-xxx")
    assert name.endswith(f"-{uid}")
    assert len(name) <= 82
