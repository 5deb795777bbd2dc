"""EventBridge rules to one SQS queue: what intake hears of.

The patterns are those that devcloud's chart sets up, each bound to the platform's own
data store, bucket or pipeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from isocenter_infra.names import IMAGE_SET_RULE, arn, rule_name
from isocenter_infra.settings import Settings

_RETENTION = Duration.days(14)
_RECEIVES = 5
_VISIBILITY = Duration.seconds(60)
"""Intake asks for its own with every receive; this one is for people who look."""


@dataclass(frozen=True)
class EventPath:
    """The way of an event: rules by id, queue, dead letters."""

    rules: Mapping[str, events.CfnRule]
    queue: sqs.Queue
    dead_letters: sqs.Queue


def patterns(
    *, datastore_id: str, bucket: str, pipeline_arn: str
) -> dict[str, dict[str, Any]]:
    """Rule name -> event pattern.

    Sources: EventBridge reference, events of AWS HealthImaging, S3 and SageMaker AI.
    """
    return {
        IMAGE_SET_RULE: {
            "source": ["aws.medical-imaging"],
            "detail-type": [
                "Image Set Created",
                "Image Set Updated",
                "Image Set Copied",
            ],
            "detail": {"datastoreId": [datastore_id]},
        },
        "ahi-import-job-ended": {
            "source": ["aws.medical-imaging"],
            "detail-type": ["Import Job Completed", "Import Job Failed"],
            "detail": {"datastoreId": [datastore_id]},
        },
        "s3-batch-sealed": {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [bucket]},
                "object": {"key": [{"prefix": "batches/"}]},
            },
        },
        "sagemaker-pipeline-status": {
            "source": ["aws.sagemaker"],
            "detail-type": [
                "SageMaker Model Building Pipeline Execution Status Change"
            ],
            "detail": {"pipelineArn": [pipeline_arn]},
        },
    }


def event_path(
    stack: Stack,
    settings: Settings,
    key: kms.IKey,
    wanted: Mapping[str, Mapping[str, Any]],
) -> EventPath:
    """Queue, dead letters and rules; the queues take these rules' events only."""
    dead_letters = sqs.Queue(
        stack,
        "DeadLetters",
        queue_name=f"{settings.name_prefix}-events-dlq",
        retention_period=_RETENTION,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
    )
    queue = sqs.Queue(
        stack,
        "Events",
        queue_name=f"{settings.name_prefix}-events",
        retention_period=_RETENTION,
        visibility_timeout=_VISIBILITY,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        dead_letter_queue=sqs.DeadLetterQueue(
            queue=dead_letters, max_receive_count=_RECEIVES
        ),
    )
    names = {name: rule_name(settings, name) for name in wanted}
    sources = [arn(stack, "events", f"rule/{name}") for name in names.values()]
    for each in (queue, dead_letters):
        each.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Rules",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[each.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": sources}},
            )
        )
    rules = {
        name: events.CfnRule(
            stack,
            f"Rule-{name}",
            name=names[name],
            description=f"{settings.name_prefix}: to {settings.name_prefix}-events",
            event_pattern=pattern,
            targets=[
                events.CfnRule.TargetProperty(
                    id="queue",
                    arn=queue.queue_arn,
                    # What can't be delivered for a day is not lost either.
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=dead_letters.queue_arn
                    ),
                )
            ],
        )
        for name, pattern in wanted.items()
    }
    return EventPath(rules, queue, dead_letters)
