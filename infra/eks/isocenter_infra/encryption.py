"""The one KMS key: bucket, queue, logs, images, data store, cluster secrets."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from isocenter_infra.names import arn
from isocenter_infra.settings import Settings


def platform_key(stack: Stack, settings: Settings) -> kms.IKey:
    """The existing key, or a new one that stays when the stack goes.

    What was encrypted with it can't be read without it, so it is retained.
    """
    if settings.kms_key_arn:
        return kms.Key.from_key_arn(stack, "Key", settings.kms_key_arn)
    key = kms.Key(
        stack,
        "Key",
        description=f"{settings.name_prefix}: images, events, logs and secrets",
        enable_key_rotation=True,
        alias=f"{settings.name_prefix}-platform",
        removal_policy=RemovalPolicy.RETAIN,
    )
    for statement in service_statements(stack, settings):
        key.add_to_resource_policy(iam.PolicyStatement.from_json(statement))
    return key


def service_statements(stack: Stack, settings: Settings) -> list[dict[str, object]]:
    """What AWS's services need of the key; the rest is given by IAM policies.

    An existing key's policy must have these as well.
    """
    ours = {"StringEquals": {"aws:SourceAccount": stack.account}}
    statements: list[dict[str, object]] = [
        {
            # Source: CloudWatch Logs user guide, "Encrypt log data using KMS".
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{settings.region}.amazonaws.com"},
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": "*",
            "Condition": {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": arn(
                        stack, "logs", "log-group:*"
                    )
                }
            },
        },
        {
            # An encrypted queue takes nothing of a service without this.
            "Sid": "EventsToQueue",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": ours,
        },
        {
            # Source: HealthImaging developer guide, "Data protection": the data
            # store's id, which the guide's condition has too, is not known before.
            "Sid": "ImageSets",
            "Effect": "Allow",
            "Principal": {"Service": "medical-imaging.amazonaws.com"},
            "Action": [
                "kms:Decrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
            ],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:kms-arn": arn(stack, "kms", "key/*")}
            },
        },
    ]
    if settings.alarm_mail:
        statements.append(
            {
                "Sid": "AlarmsToTopic",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": ours,
            }
        )
    return statements
