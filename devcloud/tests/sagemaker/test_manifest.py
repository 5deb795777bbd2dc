"""The Kubernetes Job of a step: containers, volumes, security, environment."""

import json

import pytest

from isocenter.devcloud.sagemaker.container import container
from isocenter.devcloud.sagemaker.manifest import (
    PlanTooLongError,
    PodSettings,
    manifest,
    selector,
)

SETTINGS = PodSettings(
    namespace="ns",
    instance="dc",
    devcloud_image="devcloud:1",
    image_pull_policy="IfNotPresent",
    service_account="steps",
    environment={"AWS_ENDPOINT_URL": "http://dc.ns.svc:5000", "AWS_REGION": "x"},
    ttl_seconds=60,
    resources={"requests": {"cpu": "100m"}},
)


@pytest.fixture
def pod(make_job):
    def make(step, change=None):
        job = make_job(step, change)
        made = manifest(job, container(job, "eu-west-1"), SETTINGS, 3600)
        return made["spec"]["template"]["spec"]

    return make


def environment(entry):
    return {variable["name"]: variable["value"] for variable in entry["env"]}


def plan(entry):
    name, text = entry["args"]
    assert entry["name"] == name
    return json.loads(text.replace("$$(", "$("))


def test_the_job_is_found_by_its_labels(make_job):
    job = make_job("Train")
    made = manifest(job, container(job, "eu-west-1"), SETTINGS, 3600)
    assert made["metadata"]["name"] == job.name.lower()
    wanted = dict(part.split("=") for part in selector("dc").split(","))
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
        assert wanted.items() <= metadata["labels"].items()
        assert metadata["annotations"]["devcloud/job-arn"] == job.arn
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["ttlSecondsAfterFinished"] == 60


def test_processing(pod):
    made = pod("FetchFrames")
    inputs, step = made["initContainers"]
    (outputs,) = made["containers"]
    assert step["image"].startswith("111122223333.dkr.ecr")
    assert step["command"] == ["python", "-m", "fetcher"]
    assert step["args"][:2] == ["--datastore-id", "d" * 32]
    variables = environment(step)
    assert variables["LOG_LEVEL"] == "INFO"
    assert variables["AWS_REGION"] == "eu-west-1"
    assert variables["AWS_ENDPOINT_URL"] == "http://dc.ns.svc:5000"
    assert variables["PROCESSING_JOB_ARN"].endswith("0123456789")
    assert step["terminationMessagePath"] == "/opt/ml/output/message"
    files = plan(inputs)["files"]
    config = json.loads(files["/opt/ml/config/processingjobconfig.json"])
    assert config["ProcessingOutputConfig"]["Outputs"][0]["OutputName"] == "frames"
    assert json.loads(files["/opt/ml/config/resourceconfig.json"]) == {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
    }
    assert plan(inputs)["directories"] == ["/opt/ml/processing/output"]
    assert plan(outputs) == {
        "trees": [
            {
                "path": "/opt/ml/processing/output",
                "uri": "s3://mlops-artifacts-111122223333/runs/abcdefghijkl/frames",
            }
        ],
        "archives": [],
    }


def test_training(pod):
    made = pod("Train")
    inputs, step = made["initContainers"]
    (outputs,) = made["containers"]
    assert "command" not in step
    assert step["args"] == ["train"]
    assert environment(step)["TRAINING_JOB_NAME"].endswith("Train-0123456789")
    assert step["terminationMessagePath"] == "/opt/ml/output/failure"
    files = plan(inputs)["files"]
    root = "/opt/ml/input/config"
    assert json.loads(files[f"{root}/hyperparameters.json"]) == {"epochs": "1"}
    assert json.loads(files[f"{root}/inputdataconfig.json"]) == {
        "frames": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert json.loads(files[f"{root}/resourceconfig.json"])["hosts"] == ["algo-1"]
    assert plan(inputs)["downloads"] == [
        {
            "name": "frames",
            "uri": "s3://mlops-artifacts-111122223333/runs/abcdefghijkl/frames",
            "type": "S3Prefix",
            "path": "/opt/ml/input/data/frames",
        }
    ]
    base = (
        "s3://mlops-artifacts-111122223333/models/"
        "pipelines-abcdefghijkl-Train-0123456789/output"
    )
    assert plan(outputs)["archives"] == [
        {"path": "/opt/ml/model", "uri": f"{base}/model.tar.gz"},
        {"path": "/opt/ml/output/data", "uri": f"{base}/output.tar.gz"},
    ]


@pytest.mark.parametrize(
    ("algorithm", "command", "args"),
    [
        ({}, None, ["train"]),
        ({"ContainerEntrypoint": ["python", "x.py"]}, ["python", "x.py"], None),
        ({"ContainerArguments": ["a"]}, None, ["a"]),
        ({"ContainerEntrypoint": ["x"], "ContainerArguments": ["a"]}, ["x"], ["a"]),
    ],
)
def test_what_a_training_container_is_started_by(pod, algorithm, command, args):
    made = pod("Train", lambda a: a["AlgorithmSpecification"].update(algorithm))
    step = made["initContainers"][1]
    assert (step.get("command"), step.get("args")) == (command, args)


@pytest.mark.parametrize("step", ["FetchFrames", "Train"])
def test_pod_security_restricted(pod, step):
    made = pod(step)
    context = made["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["fsGroup"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for entry in [*made["initContainers"], *made["containers"]]:
        security = entry["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
    assert all("emptyDir" in volume for volume in made["volumes"])
    assert made["automountServiceAccountToken"] is False
    assert made["activeDeadlineSeconds"] == 3600


@pytest.mark.parametrize("step", ["FetchFrames", "Train"])
def test_opt_ml_is_carried_by_the_same_volumes(pod, step):
    made = pod(step)
    names = {volume["name"] for volume in made["volumes"]}
    mounts = [
        {mount["name"]: mount["mountPath"] for mount in entry["volumeMounts"]}
        for entry in [*made["initContainers"], *made["containers"]]
    ]
    for mounted in mounts:
        assert set(mounted) <= names
        assert mounts[1].items() <= mounted.items()
    assert all(path.startswith("/opt/ml/") for path in mounts[1].values())


def test_kubernetes_expands_nothing(pod):
    def change(arguments):
        arguments["AppSpecification"]["ContainerArguments"] = ["$(AWS_REGION)"]
        arguments["Environment"] = {"X": "a$(AWS_REGION)$$"}

    inputs, step = pod("FetchFrames", change)["initContainers"]
    assert step["args"] == ["$$(AWS_REGION)"]
    assert environment(step)["X"] == "a$$(AWS_REGION)$$"
    files = plan(inputs)["files"]
    assert "$(AWS_REGION)" in files["/opt/ml/config/processingjobconfig.json"]


def test_a_plan_that_no_process_can_take(pod):
    parameters = {f"p{number}": "x" * 2400 for number in range(60)}
    with pytest.raises(PlanTooLongError, match="inputs"):
        pod("Train", lambda a: a.update(HyperParameters=parameters))
