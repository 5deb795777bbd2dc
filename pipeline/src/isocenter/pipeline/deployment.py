"""Puts the default pipeline into an account: the SageMaker edge of this package."""

import json
from dataclasses import dataclass
from typing import Any

from isocenter.core import aws
from isocenter.core.errors import AwsError, NotFoundError
from isocenter.pipeline.definition import (
    PIPELINE_NAME,
    Options,
    Security,
    StepOptions,
    render,
)

_TAKEN = frozenset({"ConflictException", "ResourceInUse", "ValidationException"})
"""How CreatePipeline may say that the name exists; the API documents no code of its
own for it, and AWS answers ValidationException."""


@dataclass(frozen=True)
class Pipeline:
    """A pipeline ready to be read or deployed."""

    options: Options

    def definition(self) -> str:
        """The definition as JSON text, as CreatePipeline takes it."""
        return json.dumps(render(self.options), indent=2)

    def upsert(self, role_arn: str, *, client: Any = None) -> str:
        """Create the pipeline, or update the one that has its name.

        Doing it again changes nothing: the name is the key.

        Args:
            role_arn: the role that SageMaker takes to start the steps.
            client: a boto3 client of SageMaker; one for the pipeline's region if
                none is given.

        Returns:
            The pipeline's ARN.

        Raises:
            AwsError: the pipeline could not be created or updated.
        """
        sagemaker = client or aws.client("sagemaker", region=self.options.region)
        request = {
            "PipelineName": self.options.pipeline_name,
            "PipelineDefinition": self.definition(),
            "RoleArn": role_arn,
        }
        name = self.options.pipeline_name
        try:
            with aws.calling(f"create pipeline {name}"):
                return str(sagemaker.create_pipeline(**request)["PipelineArn"])
        except AwsError as refused:
            if refused.code not in _TAKEN:
                raise
            try:
                with aws.calling(f"update pipeline {name}"):
                    return str(sagemaker.update_pipeline(**request)["PipelineArn"])
            except NotFoundError:
                # It does not exist, so it was the definition that was refused.
                raise refused from None


def region_of_environment() -> str:
    """The region that boto3 finds in its variables and files.

    Raises:
        ConfigurationError: it finds none.
    """
    return str(aws.client("sagemaker").meta.region_name)


def get_pipeline(
    role: str,
    pipeline_name: str = PIPELINE_NAME,
    *,
    fetcher_image_uri: str,
    default_bucket: str,
    region: str,
    trainer_image_uri: str | None = None,
    trainer_entrypoint: tuple[str, ...] = ("isocenter-train",),
    hyperparameters: dict[str, str] | None = None,
    fetch: StepOptions | None = None,
    train: StepOptions | None = None,
    security: Security | None = None,
) -> Pipeline:
    """The default pipeline for one account.

    Args:
        role: ARN of the role of both steps' jobs.
        pipeline_name: its name in SageMaker, and its identity.
        fetcher_image_uri: image of FetchImageData.
        default_bucket: bucket that manual starts write to, under runs/manual.
        region: of the pipeline and of the data stores it reads.
        trainer_image_uri: image of TrainModel; by default the fetcher's with
            "fetcher" replaced by "trainer" in its last path element.
        trainer_entrypoint: its command; empty for the image's own entrypoint, which
            SageMaker calls with "train".
        hyperparameters: values that replace the template's.
        fetch: instance, volume, time limit and role of FetchImageData.
        train: the same of TrainModel.
        security: VPC, KMS key and network isolation.

    Raises:
        ConfigurationError: naming the argument that is not usable.
    """
    return Pipeline(
        Options(
            role=role,
            pipeline_name=pipeline_name,
            fetcher_image_uri=fetcher_image_uri,
            default_bucket=default_bucket,
            region=region,
            trainer_image_uri=trainer_image_uri,
            trainer_entrypoint=trainer_entrypoint,
            hyperparameters=hyperparameters or {},
            fetch=fetch or StepOptions(),
            train=train or StepOptions(),
            security=security or Security(),
        )
    )
