"""Jobs: names, requests refused, descriptions that fit AWS's own shapes."""

import re

import pytest

from isocenter.devcloud.sagemaker.errors import ValidationError
from isocenter.devcloud.sagemaker.jobs import describe, job_name, max_runtime
from isocenter.devcloud.sagemaker.lifecycle import observe
from isocenter.devcloud.sagemaker.models import Observation
from isocenter.devcloud.shapes import check_output


@pytest.mark.parametrize("step", ["Train", "a_b-c", "x" * 64, "--", "A" * 28 + "-b"])
def test_names_fit_sagemaker_and_kubernetes(step):
    name = job_name("abcdefghijkl", step)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name.startswith("pipelines-abcdefghijkl-")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name.lower())


@pytest.mark.parametrize("step", ["FetchFrames", "Train"])
@pytest.mark.parametrize(
    "last",
    [
        Observation("Starting"),
        Observation("Training"),
        Observation("Completed", exit_message="done\nwell"),
        Observation("Failed", failure_reason="AlgorithmError: x, exit code: 1"),
        Observation("MaxRuntimeExceeded"),
        Observation("Stopped"),
    ],
)
def test_descriptions_have_the_model_s_shape(make_job, step, last):
    job = make_job(step)
    for number, seen in enumerate([Observation("Starting"), last]):
        observe(job, seen, 1000.0 + number)
    check_output("sagemaker", f"Describe{job.kind}Job", describe(job))


def instance_count(arguments, count):
    arguments["ResourceConfig"]["InstanceCount"] = count


@pytest.mark.parametrize(
    ("step", "change", "words"),
    [
        ("Train", lambda a: a["ResourceConfig"].update(InstanceCount=2), "Instance"),
        ("Train", lambda a: a["HyperParameters"].update(epochs=1), "HyperParam|hyperP"),
        ("Train", lambda a: a["InputDataConfig"][0].update(InputMode="Pipe"), "Pipe"),
        ("Train", lambda a: a.pop("AlgorithmSpecification"), "TrainingImage"),
        ("Train", lambda a: a.update(Unknown="x"), "nknown"),
        (
            "FetchFrames",
            lambda a: a["ProcessingOutputConfig"]["Outputs"][0]["S3Output"].update(
                LocalPath="/tmp/out"
            ),
            "must begin with /opt/ml/processing",
        ),
        (
            "FetchFrames",
            lambda a: a["ProcessingOutputConfig"]["Outputs"][0]["S3Output"].update(
                LocalPath="/opt/ml/processing/../../etc"
            ),
            r"must not contain '\.\.'",
        ),
        (
            "FetchFrames",
            lambda a: a["ProcessingOutputConfig"]["Outputs"][0]["S3Output"].update(
                S3UploadMode="Continuous"
            ),
            "Continuous",
        ),
        ("FetchFrames", lambda a: a.pop("RoleArn"), "oleArn"),
        (
            "FetchFrames",
            lambda a: a["AppSpecification"]["ContainerArguments"].append(""),
            "empty string in ContainerArguments at index 4",
        ),
        (
            "FetchFrames",
            lambda a: a["AppSpecification"].update(ContainerEntrypoint=["sh", ""]),
            "empty string in ContainerEntrypoint at index 1",
        ),
        (
            "FetchFrames",
            lambda a: a["AppSpecification"]["ContainerArguments"].append("x" * 257),
            "less than or equal to 256",
        ),
        (
            "Train",
            lambda a: a["AlgorithmSpecification"].update(ContainerArguments=[""]),
            "empty string in ContainerArguments at index 0",
        ),
    ],
)
def test_refused(make_job, step, change, words):
    with pytest.raises(ValidationError, match=words):
        make_job(step, change)


def test_model_artifacts_by_compression(make_job):
    job = make_job("Train")
    assert job.model_uri.endswith(f"/models/{job.name}/output/model.tar.gz")

    def uncompressed(arguments):
        arguments["OutputDataConfig"]["CompressionType"] = "NONE"

    job = make_job("Train", uncompressed)
    assert job.model_uri.endswith(f"/models/{job.name}/output/model/")


def test_the_longest_runtime(make_job):
    assert max_runtime(make_job("Train")) == 3600
    job = make_job("Train", lambda arguments: arguments.pop("StoppingCondition"))
    assert max_runtime(job) == 86_400
