"""docs/reference/pipeline-steps.md: what the default pipeline's steps get and give."""

import json
import re
from pathlib import Path
from typing import Any

from isocenter.pipeline.definition import (
    FETCH_STEP,
    PIPELINE_NAME,
    TRAIN_STEP,
    template,
)
from isocenter.pipeline.training.hyperparameters import Hyperparameters

HEAD = f"""# The default pipeline and its steps

Made by `make generate` from the pipeline's definition; don't edit. `{PIPELINE_NAME}`
is what `isocenter-pipeline` and the chart's `pipeline` create. A pipeline of your own
may have other steps: the operator passes those of the parameters below that its
definition declares.
"""
PARAMETERS = {
    "DatastoreId": "HealthImaging data store of the run.",
    "ImageSetId": "Its image set, if it is a single one.",
    "RequestS3Uri": "Its request.json: all image sets with their versions.",
    "OutputS3Uri": "Where everything goes that the execution writes.",
}
"""What the operator passes."""
ROOT = Path(__file__).resolve().parents[2]
CHANNEL = "/opt/ml/input/data/"


def steps_reference() -> str:
    """The page's text."""
    definition = template()
    steps = {step["Name"]: step["Arguments"] for step in definition["Steps"]}
    chapters = (
        HEAD,
        _parameters(definition["Parameters"]),
        _fetch(steps[FETCH_STEP]),
        _train(steps[TRAIN_STEP]),
    )
    return "\n".join(chapters)


def _parameters(declared: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"| `{p['Name']}` | `{_default(p)}` | {PARAMETERS[p['Name']]} |\n"
        for p in declared
    )
    return f"""## Parameters

`none` stands for absent: SageMaker takes no empty value.

| parameter | default | what it is |
|---|---|---|
{rows}"""


def _default(parameter: dict[str, Any]) -> str:
    """The template's bucket is a placeholder."""
    return re.sub(r"^s3://[^/]+", "s3://<default bucket>", parameter["DefaultValue"])


def _fetch(arguments: dict[str, Any]) -> str:
    container = arguments["AppSpecification"]
    (output,) = arguments["ProcessingOutputConfig"]["Outputs"]
    return f"""## {FETCH_STEP}

A processing job with the fetcher's image on {_cluster(arguments)}.

{_command(container)}

{_environment(arguments["Environment"], "services/fetcher/Dockerfile")}
Every [setting of the fetcher](settings.md#fetcher) can be given as an environment
variable as well. Output `{output["OutputName"]}` is what lies in
`{output["S3Output"]["LocalPath"]}` at the end; it goes to
`{_uri(output["S3Output"]["S3Uri"])}`. Ends with the fetcher's
[exit codes](exit-codes.md#fetcher).
"""


def _train(arguments: dict[str, Any]) -> str:
    algorithm = arguments["AlgorithmSpecification"]
    (channel,) = arguments["InputDataConfig"]
    rows = "".join(
        f"| `{name}` | `{arguments['HyperParameters'].get(name, field.default)}` | "
        f"{field.description} |\n"
        for name, field in Hyperparameters.model_fields.items()
    )
    isolation = "no" if arguments.get("EnableNetworkIsolation") else "a"
    return f"""## {TRAIN_STEP}

A training job with the trainer's image on {_resources(arguments["ResourceConfig"])};
the container has {isolation} network. Program:
`{" ".join(algorithm["ContainerEntrypoint"])}`.

{_environment(arguments.get("Environment", {}), "pipeline/Dockerfile")}
| folder in the container | what it holds |
|---|---|
| `{CHANNEL}{channel["ChannelName"]}` | the dataset of {FETCH_STEP} |
| `/opt/ml/input/config/hyperparameters.json` | the hyperparameters, as text |
| `/opt/ml/model` | the model; SageMaker packs it as model.tar.gz |
| `/opt/ml/output/failure` | why there is none |

The model goes to `{_uri(arguments["OutputDataConfig"]["S3OutputPath"])}`. Ends with the
training step's [exit codes](exit-codes.md#training-step).

| hyperparameter | default | what it is |
|---|---|---|
{rows}"""


def _cluster(arguments: dict[str, Any]) -> str:
    return _resources(arguments["ProcessingResources"]["ClusterConfig"])


def _resources(cluster: dict[str, Any]) -> str:
    count, kind = cluster["InstanceCount"], cluster["InstanceType"]
    return f"{count} {kind} with a volume of {cluster['VolumeSizeInGB']} GB"


def _command(container: dict[str, Any]) -> str:
    words = [*container["ContainerEntrypoint"], *container["ContainerArguments"]]
    text = " ".join(w if isinstance(w, str) else _uri(w) for w in words)
    return f"```text\n{text}\n```"


def _environment(variables: dict[str, str], dockerfile: str) -> str:
    """The definition's variables and those of the image's last stage."""
    image = (ROOT / dockerfile).read_text().rpartition("\nFROM ")[2]
    settled = [
        pair.partition("=")
        for line in re.findall(r"^ENV (.*)$", image, re.MULTILINE)
        for pair in line.split()
    ]
    rows = [f"| `{name}` | the pipeline's region | definition |" for name in variables]
    rows += [
        f"| `{name}` | `{value}` | image |"
        for name, _, value in settled
        if name.startswith("AWS_")
    ]
    return "\n".join(
        ["| environment variable | value | set by |", "|---|---|---|", *rows, ""]
    )


def _uri(value: Any) -> str:
    """A value of the definition with its references in angle brackets."""
    if isinstance(value, str):
        return value
    if "Get" in value:
        return f"<{str(value['Get']).rpartition('.')[2]}>"
    if "Std:Join" in value:
        join = value["Std:Join"]
        return str(join["On"]).join(map(_uri, join["Values"]))
    return json.dumps(value)
