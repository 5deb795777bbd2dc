"""The CDK app: settings in, two templates out. No call of AWS, and no asset."""

from aws_cdk import App, BootstraplessSynthesizer, Environment

from isocenter_infra.cluster_stack import ClusterStack
from isocenter_infra.data_stack import DataStack
from isocenter_infra.settings import Settings

DATA_STACK = "IsocenterData"
CLUSTER_STACK = "IsocenterCluster"

FLAGS = {
    # Templates in one line: under the 51,200 bytes that need no bucket.
    "@aws-cdk/core:suppressTemplateIndentation": True,
    # CloudFormation hands a stack's tags on to its resources: no need to write them
    # to each.
    "@aws-cdk/core:explicitStackTags": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    # Would add a Lambda function.
    "@aws-cdk/aws-ec2:restrictDefaultSecurityGroup": False,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-s3:publicAccessBlockedByDefault": True,
    "aws:cdk:disable-asset-staging": True,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:version-reporting": False,
}
"""Context of the CDK itself, the same for its command line and for plain Python."""


def new_app(outdir: str | None = None) -> App:
    """An app that has the flags, and the context that the CDK's command line gives."""
    return App(
        outdir=outdir,
        context=FLAGS,
        analytics_reporting=False,
        default_stack_synthesizer=BootstraplessSynthesizer(),
    )


def add_stacks(app: App, settings: Settings) -> tuple[DataStack, ClusterStack]:
    """Both stacks, tagged; not synthesized yet."""
    # The account is whoever's that deploys.
    environment = Environment(region=settings.region)
    tags = {"project": settings.name_prefix}
    names = (
        (DATA_STACK, CLUSTER_STACK)
        if settings.name_prefix == "isocenter"
        else (
            f"{settings.name_prefix}-{DATA_STACK}",
            f"{settings.name_prefix}-{CLUSTER_STACK}",
        )
    )
    data = DataStack(
        app,
        names[0],
        settings,
        env=environment,
        tags=tags,
        termination_protection=True,
        description="isocenter: data, events, roles",
    )
    cluster = ClusterStack(
        app,
        names[1],
        settings,
        data,
        env=environment,
        tags=tags,
        description="isocenter: network and cluster",
    )
    return data, cluster
