"""ECR repositories of the six images, or an existing registry's."""

from dataclasses import dataclass

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms

from isocenter_infra.names import COMPONENTS, DEFAULT_PREFIX, pascal
from isocenter_infra.settings import Settings

_UNTAGGED_DAYS = 14


@dataclass(frozen=True)
class Registry:
    """Where images are.

    Attributes:
        host: and path, as in the chart's ``images.registry``.
        account: that has the repositories.
        region: the same.
    """

    host: str
    account: str
    region: str

    def uri(self, image: str) -> str:
        """An image's repository, without tag."""
        return f"{self.host}/{COMPONENTS[image]}"

    def repository_arn(self, image: str, *, partition: str) -> str:
        """The repository's ARN."""
        _, slash, path = self.host.partition("/")
        name = f"{path}{slash}{COMPONENTS[image]}"
        return f"arn:{partition}:ecr:{self.region}:{self.account}:repository/{name}"


def registry(stack: Stack, settings: Settings, key: kms.IKey) -> Registry:
    """The registry that is named, or repositories made here, which stay."""
    if settings.registry:
        account, _, _, region, *_ = settings.registry.split(".")
        return Registry(settings.registry.rstrip("/"), account, region)
    path = "" if settings.name_prefix == DEFAULT_PREFIX else f"{settings.name_prefix}/"
    for image, name in COMPONENTS.items():
        repository = ecr.CfnRepository(
            stack,
            f"Repository{pascal(image)}",
            repository_name=path + name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=ecr.CfnRepository.ImageScanningConfigurationProperty(
                scan_on_push=True
            ),
            encryption_configuration=ecr.CfnRepository.EncryptionConfigurationProperty(
                encryption_type="KMS", kms_key=key.key_arn
            ),
            lifecycle_policy=ecr.CfnRepository.LifecyclePolicyProperty(
                lifecycle_policy_text=_LIFECYCLE
            ),
        )
        repository.apply_removal_policy(RemovalPolicy.RETAIN)
    host = f"{stack.account}.dkr.ecr.{stack.region}.amazonaws.com"
    return Registry(
        f"{host}/{path}".rstrip("/"), account=stack.account, region=stack.region
    )


_LIFECYCLE = (
    '{"rules":[{"rulePriority":1,"description":"untagged images go",'
    '"selection":{"tagStatus":"untagged","countType":"sinceImagePushed",'
    f'"countUnit":"days","countNumber":{_UNTAGGED_DAYS}}},'
    '"action":{"type":"expire"}}]}'
)
