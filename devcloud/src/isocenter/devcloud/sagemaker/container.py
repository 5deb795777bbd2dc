"""What SageMaker gives a container: files, environment, entrypoint, /opt/ml.

"How Amazon SageMaker AI Runs Your Training Image" and "How Amazon SageMaker AI
Configures Your Processing Container".
"""

import json
from dataclasses import dataclass
from typing import Any

from isocenter.devcloud.sagemaker.jobs import compressed, output_prefix
from isocenter.devcloud.sagemaker.models import Job

HOST = "algo-1"


@dataclass(frozen=True, slots=True)
class Container:
    """One step's container and what is moved before and after it.

    `inputs` and `outputs` are the plans that `isocenter-devcloud inputs|outputs`
    carry out (see transfer.py); `volumes` are the directories that outlive a
    container of the pod.
    """

    image: str
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: dict[str, str]
    message_path: str
    volumes: tuple[str, ...]
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def container(job: Job, region: str) -> Container:
    """The container of a job, exactly as its request asks for it."""
    if job.kind == "Processing":
        return _processing(job, region)
    return _training(job, region)


def _processing(job: Job, region: str) -> Container:
    request = job.request
    application = request["AppSpecification"]
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    config = {
        "ProcessingJobArn": job.arn,
        "ProcessingJobName": job.name,
        "AppSpecification": application,
        "Environment": request.get("Environment", {}),
        "ProcessingInputs": request.get("ProcessingInputs", []),
        "ProcessingOutputConfig": request.get("ProcessingOutputConfig", {}),
        "ProcessingResources": request["ProcessingResources"],
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request.get("StoppingCondition", {}),
    }
    root = "/opt/ml/config"
    return Container(
        image=application["ImageUri"],
        entrypoint=tuple(application.get("ContainerEntrypoint", ())),
        arguments=tuple(application.get("ContainerArguments", ())),
        environment={
            "AWS_REGION": region,
            "PROCESSING_JOB_ARN": job.arn,
            **request.get("Environment", {}),
        },
        message_path="/opt/ml/output/message",
        volumes=("/opt/ml/config", "/opt/ml/processing", "/opt/ml/output"),
        inputs={
            "directories": [output["S3Output"]["LocalPath"] for output in outputs],
            "files": {
                f"{root}/processingjobconfig.json": json.dumps(config),
                f"{root}/resourceconfig.json": json.dumps(
                    {"current_host": HOST, "hosts": [HOST]}
                ),
            },
            "downloads": [
                {
                    "name": entry["InputName"],
                    "uri": entry["S3Input"]["S3Uri"],
                    "type": entry["S3Input"]["S3DataType"],
                    "path": entry["S3Input"]["LocalPath"],
                }
                for entry in request.get("ProcessingInputs", [])
            ],
        },
        outputs={
            "trees": [
                {
                    "path": output["S3Output"]["LocalPath"],
                    "uri": output["S3Output"]["S3Uri"],
                }
                for output in outputs
            ],
            "archives": [],
        },
    )


def _training(job: Job, region: str) -> Container:
    request = job.request
    algorithm = request["AlgorithmSpecification"]
    entrypoint = tuple(algorithm.get("ContainerEntrypoint", ()))
    arguments = tuple(algorithm.get("ContainerArguments", ()))
    channels = request.get("InputDataConfig", [])
    results = [
        {"path": "/opt/ml/model", "uri": f"{output_prefix(request)}/model"},
        {"path": "/opt/ml/output/data", "uri": f"{output_prefix(request)}/output"},
    ]
    archives = [{**one, "uri": f"{one['uri']}.tar.gz"} for one in results]
    return Container(
        image=algorithm["TrainingImage"],
        entrypoint=entrypoint,
        # "docker run image train", unless the request says what to run.
        arguments=arguments or (() if entrypoint else ("train",)),
        environment={
            "AWS_REGION": region,
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            **request.get("Environment", {}),
        },
        message_path="/opt/ml/output/failure",
        volumes=(
            "/opt/ml/input",
            "/opt/ml/model",
            "/opt/ml/output",
            "/opt/ml/checkpoints",
        ),
        inputs={
            "directories": ["/opt/ml/model", "/opt/ml/output/data"],
            "files": _training_files(request, channels),
            "downloads": [
                {
                    "name": channel["ChannelName"],
                    "uri": channel["DataSource"]["S3DataSource"]["S3Uri"],
                    "type": channel["DataSource"]["S3DataSource"]["S3DataType"],
                    "path": f"/opt/ml/input/data/{channel['ChannelName']}",
                }
                for channel in channels
            ],
        },
        outputs={
            "trees": [] if compressed(request) else results,
            "archives": archives if compressed(request) else [],
        },
    )


def _training_files(
    request: dict[str, Any], channels: list[dict[str, Any]]
) -> dict[str, str]:
    resource = request.get("ResourceConfig") or {}
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": resource.get("InstanceType"),
        "hosts": [HOST],
    }
    contents = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {
            channel["ChannelName"]: _channel(request, channel) for channel in channels
        },
        "resourceconfig": {
            "current_host": HOST,
            "current_instance_type": resource.get("InstanceType"),
            "current_group_name": group["instance_group_name"],
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": "eth0",
        },
    }
    return {
        f"/opt/ml/input/config/{name}.json": json.dumps(content)
        for name, content in contents.items()
    }


def _channel(request: dict[str, Any], channel: dict[str, Any]) -> dict[str, str]:
    algorithm = request["AlgorithmSpecification"]
    source = channel["DataSource"]["S3DataSource"]
    described = {
        "TrainingInputMode": channel.get("InputMode", algorithm["TrainingInputMode"]),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    if "ContentType" in channel:
        described["ContentType"] = channel["ContentType"]
    return described
