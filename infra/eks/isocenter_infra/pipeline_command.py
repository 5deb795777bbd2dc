"""The command that creates the SageMaker pipeline, for CreatePipelineCommand."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from isocenter_infra.registry import Registry
from isocenter_infra.settings import Settings


def create_pipeline_command(
    settings: Settings,
    *,
    bucket: str,
    key: kms.IKey,
    roles: dict[str, iam.CfnRole],
    images: Registry,
) -> str:
    """One line of shell: ``isocenter-pipeline upsert`` with all that it needs.

    The chart's Job makes the same call when ``pipeline.enabled`` is set: a pipeline
    has one owner, so it is no resource of the stacks.
    """
    options = {
        "region": settings.region,
        "pipeline-name": settings.pipeline_name,
        "role-arn": roles["sagemaker"].attr_arn,
        "fetch-role-arn": roles["processing"].attr_arn,
        "train-role-arn": roles["training"].attr_arn,
        "fetcher-image-uri": f"{images.uri('fetcher')}:{settings.image_tag}",
        "trainer-image-uri": f"{images.uri('trainer')}:{settings.image_tag}",
        "default-bucket": bucket,
        "kms-key": key.key_arn,
    }
    return "isocenter-pipeline upsert " + " ".join(
        f"--{name} {value}" for name, value in options.items()
    )
