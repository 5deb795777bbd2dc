"""The default pipeline's definition as plain JSON (schema 2020-12-01), no SDK.

definition.json beside this module is the template: made by the SageMaker Python
SDK (pipeline/authoring), with the placeholder account 111122223333. ``render``
sets what differs from one account to the next: images, roles, bucket, region,
instances and security. It changes members of the JSON tree, never text.

::

    FetchImageData (Processing, fetcher image)
      arguments  DatastoreId, ImageSetId, RequestS3Uri   "none" counts as absent
      output     "dataset" -> <OutputS3Uri>/<execution id>/dataset
    TrainModel (Training, trainer image)
      channel    "dataset" <- the step before
      output     <OutputS3Uri>/<execution id>/model/<job>/output/model.tar.gz
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from isocenter.core.errors import ConfigurationError

PIPELINE_NAME = "ahi-mlops-pipeline"
FETCH_STEP = "FetchImageData"
TRAIN_STEP = "TrainModel"
ABSENT = "none"
"""An absent parameter. SageMaker refuses "" as a parameter's value and as a
container argument (aws/sagemaker-python-sdk issues 4016 and 3758)."""

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_LONGEST_IMAGE = 255


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """Where one step runs; None keeps the template's value.

    Args:
        instance_type: such as "ml.m5.xlarge".
        volume_gb: size of the step's storage volume.
        max_runtime_s: seconds after which SageMaker stops the job.
        role: the job's role if it is not the pipeline's; a training role needs no
            right on HealthImaging.
    """

    instance_type: str | None = None
    volume_gb: int | None = None
    max_runtime_s: int | None = None
    role: str | None = None


@dataclass(frozen=True, kw_only=True)
class Security:
    """Network and encryption of both steps.

    Args:
        subnets: subnets of a VPC, together with ``security_group_ids``.
        security_group_ids: security groups in that VPC.
        kms_key: key for the volumes and for what SageMaker writes to S3.
        trainer_network_isolation: the training container gets no network at all.
            The fetcher always has one: it calls HealthImaging.
    """

    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    kms_key: str | None = None
    trainer_network_isolation: bool = True

    def __post_init__(self) -> None:
        if bool(self.subnets) != bool(self.security_group_ids):
            raise ConfigurationError(
                "a VPC needs both subnets and security group ids; give both or none"
            )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that ``render`` puts into the template.

    Raises:
        ConfigurationError: naming the option that is not usable.
    """

    role: str
    fetcher_image_uri: str
    default_bucket: str
    region: str
    pipeline_name: str = PIPELINE_NAME
    trainer_image_uri: str | None = None
    trainer_entrypoint: tuple[str, ...] = ("isocenter-train",)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    fetch: StepOptions = StepOptions()
    train: StepOptions = StepOptions()
    security: Security = Security()

    def __post_init__(self) -> None:
        for name, pattern, value in (
            ("role", _ROLE, self.role),
            ("fetch.role", _ROLE, self.fetch.role or self.role),
            ("train.role", _ROLE, self.train.role or self.role),
            ("default_bucket", _BUCKET, self.default_bucket),
            ("pipeline_name", _NAME, self.pipeline_name),
            ("region", _REGION, self.region),
        ):
            if not pattern.fullmatch(value):
                raise ConfigurationError(
                    f"{name} is not usable: {value!r} does not match {pattern.pattern}"
                )
        for name, uri in (
            ("fetcher_image_uri", self.fetcher_image_uri),
            ("trainer_image_uri", self.trainer_image),
        ):
            if not uri or len(uri) > _LONGEST_IMAGE or uri.split() != [uri]:
                raise ConfigurationError(
                    f"{name} is not usable: {uri!r} must be an image reference of at "
                    f"most {_LONGEST_IMAGE} characters"
                )

    @property
    def trainer_image(self) -> str:
        """The trainer's image, derived from the fetcher's if it was not given."""
        return self.trainer_image_uri or trainer_beside(self.fetcher_image_uri)


def trainer_beside(fetcher_image_uri: str) -> str:
    """The trainer image of the same registry, repository path and tag.

    Raises:
        ConfigurationError: the last path element has no "fetcher" to replace, or a
            digest names one image only.
    """
    path, slash, last = fetcher_image_uri.rpartition("/")
    repository = re.split("[:@]", last, maxsplit=1)[0]
    if "fetcher" not in repository or "@" in last:
        raise ConfigurationError(
            f"no trainer image follows from {fetcher_image_uri!r}: "
            "give trainer_image_uri"
        )
    beside = repository.replace("fetcher", "trainer")
    return f"{path}{slash}{beside}{last[len(repository) :]}"


def template() -> dict[str, Any]:
    """A fresh copy of the committed definition."""
    body = files("isocenter.pipeline").joinpath("definition.json").read_bytes()
    loaded: dict[str, Any] = json.loads(body)
    return loaded


def render(options: Options) -> dict[str, Any]:
    """The definition of one account's pipeline."""
    definition = template()
    steps = {step["Name"]: step["Arguments"] for step in definition["Steps"]}
    _fetch(steps[FETCH_STEP], options)
    _train(steps[TRAIN_STEP], options)
    for parameter in definition["Parameters"]:
        if parameter["Name"] == "OutputS3Uri":
            parameter["DefaultValue"] = f"s3://{options.default_bucket}/runs/manual"
    return definition


def _fetch(arguments: dict[str, Any], options: Options) -> None:
    """Fill in a CreateProcessingJob request."""
    arguments["AppSpecification"]["ImageUri"] = options.fetcher_image_uri
    for name in arguments["Environment"]:
        arguments["Environment"][name] = options.region
    cluster = arguments["ProcessingResources"]["ClusterConfig"]
    _resources(arguments, cluster, options.fetch, options)
    security = options.security
    if security.kms_key:
        arguments["ProcessingOutputConfig"]["KmsKeyId"] = security.kms_key
    if security.subnets:
        arguments["NetworkConfig"] = {"VpcConfig": _vpc(security)}


def _train(arguments: dict[str, Any], options: Options) -> None:
    """Fill in a CreateTrainingJob request."""
    algorithm = arguments["AlgorithmSpecification"]
    algorithm["TrainingImage"] = options.trainer_image
    algorithm["ContainerEntrypoint"] = list(options.trainer_entrypoint)
    if not options.trainer_entrypoint:
        # The image's own entrypoint, called with "train" as SageMaker does.
        del algorithm["ContainerEntrypoint"]
    arguments["HyperParameters"].update(options.hyperparameters)
    _resources(arguments, arguments["ResourceConfig"], options.train, options)
    security = options.security
    arguments["EnableNetworkIsolation"] = security.trainer_network_isolation
    if security.kms_key:
        arguments["OutputDataConfig"]["KmsKeyId"] = security.kms_key
    if security.subnets:
        arguments["VpcConfig"] = _vpc(security)


def _resources(
    arguments: dict[str, Any],
    cluster: dict[str, Any],
    step: StepOptions,
    options: Options,
) -> None:
    """What both kinds of job call by the same names."""
    arguments["RoleArn"] = step.role or options.role
    if step.instance_type:
        cluster["InstanceType"] = step.instance_type
    if step.volume_gb:
        cluster["VolumeSizeInGB"] = step.volume_gb
    if step.max_runtime_s:
        arguments["StoppingCondition"]["MaxRuntimeInSeconds"] = step.max_runtime_s
    if options.security.kms_key:
        cluster["VolumeKmsKeyId"] = options.security.kms_key


def _vpc(security: Security) -> dict[str, list[str]]:
    return {
        "SecurityGroupIds": list(security.security_group_ids),
        "Subnets": list(security.subnets),
    }
