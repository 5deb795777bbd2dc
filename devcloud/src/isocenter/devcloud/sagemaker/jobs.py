"""The job of a step: its name, its request checked, its description.

Shapes: CreateProcessingJob, DescribeProcessingJob, CreateTrainingJob,
DescribeTrainingJob.

Assumed: ModelArtifacts names the archive also before it is there and when the job
failed; a job's ARN has its name in lower case, and a job is found by its name in any
case, as AWS's examples take it from the ARN; with CompressionType NONE the model
lies under `output/model/`; a training job's empty ContainerArguments are refused as
a processing job's are. EnableNetworkIsolation, VpcConfig, NetworkConfig and KMS keys
are accepted and have no effect: a container that is isolated on AWS has a network
here.
"""

import re
from typing import Any

from isocenter.devcloud.sagemaker.errors import ValidationError
from isocenter.devcloud.sagemaker.models import Job, random_id
from isocenter.devcloud.shapes import ShapeError, check_input

_MAX_NAME = 63
_PROCESSING_ROOT = "/opt/ml/processing"
# What a description repeats of the request.
_PROCESSING_ECHO = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
    "ExperimentConfig",
)
_TRAINING_ECHO = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "DebugHookConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "Environment",
    "RetryStrategy",
)
_DAY = 86_400


def job_name(execution_id: str, step_name: str) -> str:
    """`pipelines-<execution>-<step>-<random>`, within 63 letters, digits, hyphens."""
    suffix = random_id(10)
    room = _MAX_NAME - len(f"pipelines-{execution_id}--{suffix}")
    step = re.sub(r"[^A-Za-z0-9]+", "-", step_name)[:room].strip("-") or "step"
    return f"pipelines-{execution_id}-{step}-{suffix}"


def create_job(
    kind: str, name: str, arn_prefix: str, arguments: dict[str, Any], now: float
) -> Job:
    """A job from a step's resolved arguments.

    Raises ValidationError when Create<kind>Job would refuse them, or when they ask
    for something that one container on one node can't give.
    """
    request = {f"{kind}JobName": name, **arguments}
    try:
        check_input("sagemaker", f"Create{kind}Job", request)
    except ShapeError as error:
        raise ValidationError(str(error)) from error
    specification = "AppSpecification", "AlgorithmSpecification"
    for application in (request.get(name) or {} for name in specification):
        _check_words(application)
    if kind == "Processing":
        _check_processing(request)
    else:
        _check_training(request)
    arn = f"{arn_prefix}:{kind.lower()}-job/{name.lower()}"
    job = Job(kind, name, arn, request, created=now, modified=now)
    if kind == "Training":
        job.model_uri = model_uri(request)
    return job


def output_prefix(request: dict[str, Any]) -> str:
    """Where a training job's archives go: `<S3OutputPath>/<job>/output`."""
    root = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{root}/{request['TrainingJobName']}/output"


def model_uri(request: dict[str, Any]) -> str:
    """ModelArtifacts.S3ModelArtifacts of a training job that completes."""
    if compressed(request):
        return f"{output_prefix(request)}/model.tar.gz"
    return f"{output_prefix(request)}/model/"


def compressed(request: dict[str, Any]) -> bool:
    """Whether outputs are archives (OutputDataConfig.CompressionType GZIP)."""
    return bool(request["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP")


def max_runtime(job: Job) -> int:
    """MaxRuntimeInSeconds, or the service's default of one day."""
    condition = job.request.get("StoppingCondition") or {}
    return int(condition.get("MaxRuntimeInSeconds", _DAY))


def describe(job: Job) -> dict[str, Any]:
    """The answer of Describe<kind>Job; also what step properties resolve against."""
    describers = {"Processing": _describe_processing, "Training": _describe_training}
    body = describers[job.kind](job)
    return {key: value for key, value in body.items() if value is not None}


def _describe_processing(job: Job) -> dict[str, Any]:
    return {
        **{key: job.request.get(key) for key in _PROCESSING_ECHO},
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status,
        "ExitMessage": job.exit_message,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "ProcessingStartTime": job.started,
        "ProcessingEndTime": job.ended,
        "LastModifiedTime": job.modified,
    }


def _describe_training(job: Job) -> dict[str, Any]:
    seconds = None
    if job.started is not None and job.ended is not None:
        seconds = max(1, round(job.ended - job.started))
    return {
        **{key: job.request.get(key) for key in _TRAINING_ECHO},
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary,
        "SecondaryStatusTransitions": job.transitions,
        "ModelArtifacts": {"S3ModelArtifacts": job.model_uri},
        "FinalMetricDataList": job.metrics or None,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "LastModifiedTime": job.modified,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
        "StoppingCondition": job.request.get("StoppingCondition")
        or {"MaxRuntimeInSeconds": _DAY},
    }


def _check_processing(request: dict[str, Any]) -> None:
    cluster = request["ProcessingResources"].get("ClusterConfig", {})
    _check_one_instance(cluster.get("InstanceCount"))
    for entry in request.get("ProcessingInputs", []):
        source = entry.get("S3Input")
        if source is None:
            raise _not_built(f"ProcessingInput {entry['InputName']} without S3Input")
        _check_path(source.get("LocalPath"), entry["InputName"])
        if source.get("S3InputMode", "File") != "File":
            raise _not_built(f"S3InputMode {source['S3InputMode']}")
        if source.get("S3CompressionType", "None") != "None":
            raise _not_built(f"S3CompressionType {source['S3CompressionType']}")
    for entry in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        target = entry.get("S3Output")
        if target is None:
            raise _not_built(f"output {entry['OutputName']} without S3Output")
        _check_path(target.get("LocalPath"), entry["OutputName"])
        if target["S3UploadMode"] != "EndOfJob":
            raise _not_built(f"S3UploadMode {target['S3UploadMode']}")


def _check_training(request: dict[str, Any]) -> None:
    algorithm = request.get("AlgorithmSpecification") or {}
    if "TrainingImage" not in algorithm:
        raise _not_built("a training job without AlgorithmSpecification.TrainingImage")
    _check_one_instance((request.get("ResourceConfig") or {}).get("InstanceCount"))
    for channel in request.get("InputDataConfig", []):
        name = channel["ChannelName"]
        source = channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
            raise _not_built(f"the data source of channel {name}")
        mode = channel.get("InputMode") or algorithm["TrainingInputMode"]
        if mode == "Pipe":
            raise _not_built(f"InputMode Pipe of channel {name}")
        if channel.get("CompressionType", "None") != "None":
            raise _not_built(f"CompressionType of channel {name}")


def _check_words(application: dict[str, Any]) -> None:
    """As CreateProcessingJob words it (aws/sagemaker-python-sdk issue 3758)."""
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        words = application.get(name) or []
        if "" in words:
            raise ValidationError(
                f"Found null or empty string in {name} at index {words.index('')}. "
                "ContainerArguments and ContainerEntrypoint may not contain null or "
                "empty strings."
            )


def _check_one_instance(count: int | None) -> None:
    if count not in (None, 1):
        raise _not_built(f"InstanceCount {count}")


def _check_path(path: str | None, name: str) -> None:
    if path is None or not f"{path}/".startswith(f"{_PROCESSING_ROOT}/"):
        raise ValidationError(
            f"LocalPath of {name} must begin with {_PROCESSING_ROOT}: [{path}]"
        )
    if ".." in path.split("/"):
        raise ValidationError(f"LocalPath of {name} must not contain '..'")


def _not_built(what: str) -> ValidationError:
    return ValidationError(f"devcloud does not build {what}")
