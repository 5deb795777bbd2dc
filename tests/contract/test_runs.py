"""TrainingRuns against SageMaker's API: each look of the operator is a real call."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.run_request import parse_request
from isocenter.operator.executions import Executions, request_token
from isocenter.operator.objects import ObjectStore
from isocenter.operator.reconciling import Next
from isocenter.operator.resources import TrainingRun
from isocenter.operator.training_runs import TrainingRuns
from isocenter.pipeline import get_pipeline

ROLE = "arn:aws:iam::111122223333:role/pipeline"
PIPELINE = "contract-pipeline"
MISSING = "0" * 32


@pytest.fixture(scope="module")
def pipeline_arn(sagemaker, bucket, aws):
    """The product's own pipeline, made and then updated."""
    pipeline = get_pipeline(
        ROLE,
        PIPELINE,
        fetcher_image_uri="registry.example/isocenter/fetcher:1",
        default_bucket=bucket,
        region=aws["AWS_REGION"],
    )
    arn = pipeline.upsert(ROLE)
    assert pipeline.upsert(ROLE) == arn
    return arn


@pytest.fixture(scope="module")
def executions(sagemaker, bucket, pipeline_arn):
    return Executions(
        sagemaker, ObjectStore.connect(), bucket=bucket, runs_prefix="runs/"
    )


@pytest.fixture(scope="module")
def image_set(make_datastore, import_files, make_slice):
    datastore = make_datastore("runs")
    (found,) = import_files(datastore, "DICOM/runs/", [make_slice()])
    return datastore, found


@pytest.fixture
def run_body(image_set, request):
    """A TrainingRun of this test's own."""
    datastore, found = image_set
    name = request.node.name.replace("_", "-")
    return {
        "metadata": {"name": name, "namespace": "contract", "uid": f"uid-of-{name}"},
        "spec": {
            "datastoreId": datastore,
            "imageSets": [{"id": found, "versionId": "1"}],
            "pipeline": {"name": PIPELINE},
        },
    }


class Life:
    """A resource over its looks, as the API server would keep it."""

    def __init__(self, reconciler, body, patched):
        self._reconciler = reconciler
        self._patched = patched
        self.body = body

    @property
    def status(self):
        return self.body["status"]

    def look(self):
        result = self._reconciler.reconcile(self.body, datetime.now(UTC))
        self.body = self._patched(self.body, result.patch)
        return result.after

    def condition(self, kind):
        return next(c for c in self.status["conditions"] if c["type"] == kind)

    def step(self, name):
        return next(s for s in self.status["steps"] if s["name"] == name)


@pytest.fixture
def live(executions, patched):
    def start(body):
        runs = TrainingRuns(executions, HealthImaging.connect(), image_set_checks=5)
        return Life(runs, body, patched)

    return start


@pytest.fixture
def end_step(aws, wait_for):
    """Ends a step of the manual executor, as soon as it runs."""

    def end(arn, step, **how):
        base = aws["AWS_ENDPOINT_URL_SAGEMAKER"]
        execution_id = arn.rpartition("/")[2]
        url = f"{base}/_devcloud/sagemaker/executions/{execution_id}/steps/{step}"

        def said():
            answer = httpx.put(url, json=how)
            assert answer.status_code in {200, 404, 409}, answer.text
            return answer.is_success or None

        wait_for(said)

    return end


@pytest.fixture
def seen(wait_for):
    """Looks until the step, or the run with step None, has a status."""

    def watch(life, step, status):
        def there():
            life.look()
            now = life.step(step)["status"] if step else life.status["phase"]
            return True if now == status else None

        wait_for(there)

    return watch


def test_a_run_starts_one_execution_and_ends_with_its_results(
    live, run_body, executions, sagemaker, s3, bucket, end_step, seen
):
    life = live(run_body)
    assert life.look() is Next.POLL
    assert life.status["phase"] == "Starting"
    assert life.condition("Started")["status"] == "True"
    assert [s["status"] for s in life.status["steps"]] == ["NotStarted", "NotStarted"]
    arn = life.status["executionArn"]

    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionDisplayName"].endswith(
        run_body["metadata"]["uid"]
    )
    answer = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    parameters = {p["Name"]: p["Value"] for p in answer["PipelineParameters"]}
    output = f"runs/contract/{run_body['metadata']['name']}/attempt-1"
    assert parameters == {
        "DatastoreId": run_body["spec"]["datastoreId"],
        "ImageSetId": run_body["spec"]["imageSets"][0]["id"],
        "RequestS3Uri": f"s3://{bucket}/{output}/request.json",
        "OutputS3Uri": f"s3://{bucket}/{output}",
    }
    written = s3.get_object(Bucket=bucket, Key=f"{output}/request.json")["Body"].read()
    request = parse_request(written, source="request.json")
    assert request.run.uid == run_body["metadata"]["uid"]

    seen(life, "FetchImageData", "Executing")
    assert (life.status["phase"], life.status["progress"]) == ("Running", "0/2")
    end_step(arn, "FetchImageData", status="Succeeded")
    seen(life, "TrainModel", "Executing")
    assert life.status["progress"] == "1/2"
    execution_id = arn.rpartition("/")[2]
    dataset = f"s3://{bucket}/{output}/{execution_id}/dataset"
    assert life.status["datasetS3Uri"] == dataset
    model = f"s3://{bucket}/{output}/model.tar.gz"
    end_step(
        arn,
        "TrainModel",
        status="Succeeded",
        metrics={"validation:psnr_db": 31.5},
        model_uri=model,
    )
    seen(life, None, "Succeeded")
    assert life.look() is Next.SETTLED
    assert life.status["progress"] == "2/2"
    assert life.status["modelS3Uri"] == model
    assert life.status["metrics"] == [{"name": "validation:psnr_db", "value": "31.5"}]
    assert life.condition("Succeeded")["status"] == "True"
    assert all(s["startTime"] and s["jobArn"] for s in life.status["steps"])
    TrainingRun.model_validate(life.body)


def test_killed_before_the_patch_the_same_attempt_is_one_execution(
    live, run_body, executions, sagemaker
):
    first, second = live(run_body), live(run_body)
    first.look()
    second.look()
    assert first.status["executionArn"] == second.status["executionArn"]
    run = TrainingRun.model_validate(run_body)
    shape = executions.pipeline(PIPELINE)
    again = executions.start(run, 1, shape, executions.write_request(run, 1))
    assert again == first.status["executionArn"]
    uid = run.metadata.uid
    listed = sagemaker.list_pipeline_executions(PipelineName=PIPELINE, MaxResults=100)
    ours = [
        e
        for e in listed["PipelineExecutionSummaries"]
        if e["PipelineExecutionDisplayName"].endswith(uid)
    ]
    assert len(ours) == 1
    assert request_token(uid, 1) != request_token(uid, 2)


def test_reason_of_a_failed_step_reaches_the_run(live, run_body, end_step, seen):
    life = live(run_body)
    life.look()
    arn = life.status["executionArn"]
    end_step(
        arn,
        "FetchImageData",
        status="Failed",
        reason="AlgorithmError: exit code 4",
        exit_message="the dataset lacks 1 of what was asked for",
    )
    seen(life, None, "Failed")
    assert life.step("FetchImageData")["status"] == "Failed"
    assert "exit code 4" in life.step("FetchImageData")["failureReason"]
    assert life.step("TrainModel")["status"] == "NotStarted"
    succeeded = life.condition("Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "ExecutionFailed")
    assert "FetchImageData" in succeeded["message"]
    assert "exit code 4" in life.status["message"]


def test_stopped_by_somebody_else(live, run_body, sagemaker, seen):
    life = live(run_body)
    life.look()
    sagemaker.stop_pipeline_execution(
        PipelineExecutionArn=life.status["executionArn"],
        ClientRequestToken="stopped-by-a-person-in-the-console",
    )
    seen(life, None, "Stopped")
    assert life.condition("Succeeded")["reason"] == "ExecutionStopped"


def test_unknown_pipeline_ends_the_run(live, run_body):
    run_body["spec"]["pipeline"]["name"] = "no-such-pipeline"
    life = live(run_body)
    assert life.look() is Next.SETTLED
    assert life.status["phase"] == "Failed"
    assert life.condition("Started")["reason"] == "PipelineNotFound"
    assert "no-such-pipeline" in life.status["message"]


def test_quota_is_waited_for(live, run_body, control):
    life = live(run_body)
    control("PUT", "sagemaker", "quotas", concurrent_executions=0)
    try:
        for _ in range(2):
            assert life.look() is Next.BACK_OFF
            assert life.status["phase"] == "Pending"
            assert life.condition("Started")["reason"] == "QuotaExceeded"
    finally:
        control("PUT", "sagemaker", "quotas", concurrent_executions=20)
    assert life.look() is Next.POLL
    assert life.status["phase"] == "Starting"


def test_throttling_is_passed_over(live, run_body, control):
    life = live(run_body)
    control(
        "POST",
        "sagemaker",
        "faults",
        operation="StartPipelineExecution",
        code="ThrottlingException",
        message="Rate exceeded",
    )
    assert life.look() is Next.POLL
    assert life.status["phase"] == "Starting"


@pytest.mark.parametrize(
    "ref", [{"id": MISSING}, {"versionId": "9"}], ids=["no-id", "no-version"]
)
def test_missing_image_set_ends_the_run_before_its_start(live, run_body, ref):
    run_body["spec"]["imageSets"][0] |= ref
    life = live(run_body)
    assert life.look() is Next.SETTLED
    assert life.status["phase"] == "Failed"
    assert life.condition("Started")["reason"] == "ImageSetNotFound"
    assert "executionArn" not in life.status
    assert life.body["spec"]["imageSets"][0]["id"] in life.status["message"]


def test_another_pipeline_gets_only_what_it_declares(live, run_body, sagemaker, bucket):
    described = sagemaker.describe_pipeline(PipelineName=PIPELINE)
    definition = json.loads(described["PipelineDefinition"])
    (fetch, _) = definition["Steps"]
    fetch["Arguments"]["AppSpecification"]["ContainerArguments"] = ["fetch"]
    (output,) = fetch["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    output["S3Output"]["S3Uri"] = f"s3://{bucket}/theirs/"
    definition["Steps"] = [fetch]
    definition["Parameters"] = [
        {"Name": name, "Type": "String"} for name in ("DatastoreId", "Epochs")
    ]
    sagemaker.create_pipeline(
        PipelineName="theirs",
        PipelineDefinition=json.dumps(definition),
        RoleArn=ROLE,
        ClientRequestToken="theirs-made-once-for-all-of-them",
    )
    run_body["spec"]["pipeline"] = {"name": "theirs", "parameters": {"Epochs": "2"}}
    life = live(run_body)
    life.look()
    assert life.status["progress"] == "0/1"
    answer = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=life.status["executionArn"]
    )
    assert {p["Name"]: p["Value"] for p in answer["PipelineParameters"]} == {
        "DatastoreId": run_body["spec"]["datastoreId"],
        "Epochs": "2",
    }
