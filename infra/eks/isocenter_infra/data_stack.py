"""IsocenterData: what holds data, moves events, and all roles."""

from typing import Any

from aws_cdk import Stack
from constructs import Construct

from isocenter_infra.alarms import alarms, budget
from isocenter_infra.encryption import platform_key
from isocenter_infra.events import event_path, patterns
from isocenter_infra.identity import roles
from isocenter_infra.login import login
from isocenter_infra.logs import JOB_LOGS, log_group
from isocenter_infra.names import COMPONENTS, IMAGE_SET_RULE, arn, pascal
from isocenter_infra.output_names import CERTIFICATE_OUTPUT, DATA_OUTPUTS
from isocenter_infra.outputs import write_outputs
from isocenter_infra.permissions import ROLES
from isocenter_infra.pipeline_command import create_pipeline_command
from isocenter_infra.registry import registry
from isocenter_infra.settings import Settings
from isocenter_infra.statements import Principal
from isocenter_infra.storage import datastore_id, platform_bucket


class DataStack(Stack):  # type: ignore[misc]  # aws_cdk is in a venv of its own, so its classes are Any
    """Key, bucket, data store, events, registry, login, roles, alarms.

    Attributes:
        key_arn: ARN of the platform's key.
        pod_role_arns: component -> ARN of its pods' role.
    """

    def __init__(
        self, scope: Construct, name: str, settings: Settings, **options: Any
    ) -> None:
        super().__init__(scope, name, **options)
        key = platform_key(self, settings)
        bucket = platform_bucket(self, settings, key)
        store = datastore_id(self, settings, key)
        pipeline_arn = arn(self, "sagemaker", f"pipeline/{settings.pipeline_name}")
        path = event_path(
            self,
            settings,
            key,
            patterns(
                datastore_id=store,
                bucket=bucket.bucket_name,
                pipeline_arn=pipeline_arn,
            ),
        )
        images = registry(self, settings, key)
        users = login(self, settings)
        if settings.sagemaker_log_groups:
            for each, name_in_cloudwatch in JOB_LOGS.items():
                log_group(self, settings, key.key_arn, each, name_in_cloudwatch)
        made = roles(
            self,
            settings,
            {
                "bucket": bucket.bucket_arn,
                "datastore": arn(self, "medical-imaging", f"datastore/{store}"),
                "queue": path.queue.queue_arn,
                "key": key.key_arn,
                "pipeline": pipeline_arn,
                "jobs": arn(self, "sagemaker", "").rstrip(":"),
                "logs": arn(self, "logs", "").rstrip(":"),
                "fetcher_repository": images.repository_arn(
                    "fetcher", partition=self.partition
                ),
                "trainer_repository": images.repository_arn(
                    "trainer", partition=self.partition
                ),
                "region": self.region,
                "account": self.account,
            },
        )
        alarms(self, settings, key, path)
        budget(self, settings)
        self.key_arn = key.key_arn
        self.pod_role_arns = {
            name: made[name].attr_arn
            for name, permissions in ROLES.items()
            if permissions.principal is Principal.PODS
        }
        values = {
            "SageMakerBucketName": bucket.bucket_name,
            "SageMakerRoleArn": made["sagemaker"].attr_arn,
            "CreatePipelineCommand": create_pipeline_command(
                settings, bucket=bucket.bucket_name, key=key, roles=made, images=images
            ),
            "ReceiveBucketName": bucket.bucket_name,
            "ImportRoleArn": made["import"].attr_arn,
            "QueueUrl": path.queue.queue_url,
            "QueueArn": path.queue.queue_arn,
            "DlqUrl": path.dead_letters.queue_url,
            "DatastoreId": store,
            "PipelineName": settings.pipeline_name,
            "UserPoolId": users.pool_id,
            "UserPoolClientId": users.client_id,
            "UserPoolDomain": users.domain,
            "KmsKeyArn": key.key_arn,
            "EventRuleArn": path.rules[IMAGE_SET_RULE].attr_arn,
            "ProcessingRoleArn": made["processing"].attr_arn,
            "TrainingRoleArn": made["training"].attr_arn,
            "ImageRegistry": images.host,
            "Region": self.region,
            "Namespace": settings.namespace,
            "ReleaseName": settings.release,
            "Domain": settings.domain,
        }
        values |= {f"{pascal(c)}RoleArn": a for c, a in self.pod_role_arns.items()}
        values |= {f"{pascal(c)}ImageUri": images.uri(c) for c in COMPONENTS}
        write_outputs(self, DATA_OUTPUTS, values)
        if settings.certificate_arn:
            write_outputs(
                self,
                {CERTIFICATE_OUTPUT: "ACM certificate of the domain"},
                {CERTIFICATE_OUTPUT: settings.certificate_arn},
            )
