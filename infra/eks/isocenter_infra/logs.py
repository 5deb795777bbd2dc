"""Log groups that are made before a service makes them without an end."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_logs as logs

from isocenter_infra.settings import Settings

JOB_LOGS = {
    "ProcessingLogs": "/aws/sagemaker/ProcessingJobs",
    "TrainingLogs": "/aws/sagemaker/TrainingJobs",
}
"""Id -> the name that SageMaker gives, once in an account and region."""


def log_group(
    stack: Stack, settings: Settings, key_arn: str, name: str, path: str
) -> logs.CfnLogGroup:
    """A group that is encrypted, forgets, and goes with the stack.

    Args:
        stack: that it is made in.
        settings: how long logs are kept.
        key_arn: of the platform's key.
        name: its id in the stack.
        path: its name in CloudWatch, where the service looks for it.
    """
    group = logs.CfnLogGroup(
        stack,
        name,
        log_group_name=path,
        retention_in_days=settings.log_retention_days,
        kms_key_id=key_arn,
    )
    # Its name is fixed: one that stayed would stop the next deployment.
    group.apply_removal_policy(RemovalPolicy.DESTROY)
    return group
