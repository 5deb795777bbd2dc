"""What linters say of the templates and is meant to be so, each with its reason.

tests/infra/test_linters.py fails for a finding that is not here, and for an entry that
nothing is found for any more. ``where`` is matched as a whole: a construct's path for
cdk-nag, a resource's logical id for the others.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Acknowledged:
    """A finding that stays.

    Attributes:
        tool: "cdk-nag", "cfn-guard" or "cfn-lint".
        rule: its name, as a regular expression.
        where: the resource, as a regular expression.
        reason: why it stays.
    """

    tool: str
    rule: str
    where: str
    reason: str


_ROLE = r"IsocenterData/Role\w+"
_LOGS_BUCKET = "the bucket of the other bucket's access logs: S3 writes them there and "
_IMPORTED = (
    "it is, with the other stack's key: the linter does not follow Fn::ImportValue"
)

ACKNOWLEDGED: tuple[Acknowledged, ...] = (
    Acknowledged(
        "cdk-nag",
        r"AwsSolutions-IAM5\[Resource::(?!\*\]).+/?\*\]",
        _ROLE,
        "a pattern within one bucket's prefix, one data store, one pipeline or the "
        "names that SageMaker Pipelines gives; actions are never patterns",
    ),
    Acknowledged(
        "cdk-nag",
        r"AwsSolutions-IAM5\[Resource::\*\]",
        r"IsocenterData/Role(Processing|Training)",
        "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resource; the "
        "latter is bound to SageMaker's namespaces",
    ),
    Acknowledged(
        "cdk-nag",
        r"AwsSolutions-IAM4\[Policy::.+:policy/AmazonE(KS|C2).+\]",
        r"IsocenterCluster/Cluster/(Role|ClusternodePoolRole)/Resource",
        "the policies that EKS documents for Auto Mode's cluster and nodes, which AWS "
        "changes along with Auto Mode",
    ),
    Acknowledged(
        "cdk-nag",
        r"AwsSolutions-COG8",
        r"IsocenterData/Users/Resource",
        "Cognito's plus plan costs for each user; a second factor is required anyway",
    ),
    Acknowledged(
        "cdk-nag",
        r"HIPAA.Security-IAMNoInlinePolicy",
        rf"{_ROLE}|IsocenterCluster/FlowLogsRole",
        "each policy is of one role, and is made and goes with it",
    ),
    Acknowledged(
        "cdk-nag",
        r"HIPAA.Security-S3BucketReplicationEnabled",
        r"IsocenterData/(AccessLogs|Bucket)/Resource",
        "a copy in another region is the institution's own decision; objects are "
        "versioned, and HealthImaging has the images too",
    ),
    Acknowledged(
        "cdk-nag",
        r"HIPAA.Security-S3DefaultEncryptionKMS",
        r"IsocenterData/AccessLogs/Resource",
        _LOGS_BUCKET + "can't with a KMS key of ours; SSE-S3 encrypts it",
    ),
    Acknowledged(
        "cdk-nag",
        r"HIPAA.Security-VPCDefaultSecurityGroupClosed",
        r"IsocenterCluster/Vpc/Resource",
        "nothing is in the default group, and closing it takes a Lambda function",
    ),
    Acknowledged(
        "cdk-nag",
        r"HIPAA.Security-VPCNoUnrestrictedRouteToIGW",
        r"IsocenterCluster/Vpc/publicSubnet\d/DefaultRoute",
        "public subnets hold NAT gateways and load balancers; pods are in private ones",
    ),
    Acknowledged(
        "cfn-guard",
        "kms_create_grant_aws_service_check",
        r"Key\w+",
        "the statement for the account leaves rights to IAM policies; SageMaker's "
        "roles alone have kms:CreateGrant, with kms:GrantIsForAWSResource",
    ),
    Acknowledged(
        "cfn-guard",
        "s3_bucket_default_encryption_kms_check",
        r"AccessLogs\w+",
        _LOGS_BUCKET + "can't with a KMS key of ours; SSE-S3 encrypts it",
    ),
    Acknowledged(
        "cfn-guard",
        "s3_bucket_logging_enabled_check",
        r"AccessLogs\w+",
        _LOGS_BUCKET + "would write about its own writing without an end",
    ),
    Acknowledged(
        "cfn-guard",
        "s3_event_notifications_enabled_check",
        r"AccessLogs\w+",
        _LOGS_BUCKET + "nobody waits for them",
    ),
    Acknowledged(
        "cfn-guard",
        "s3_bucket_object_lock_enabled_check",
        r"(AccessLogs|Bucket)\w+",
        "a patient's data must be deletable on request; versioning keeps it from "
        "accidents",
    ),
    Acknowledged(
        "cfn-guard",
        "sqs_dlq_check",
        r"DeadLetters\w+",
        "it is the dead-letter queue, and an alarm watches it",
    ),
    Acknowledged(
        "cfn-guard",
        "cloudwatch_log_group_encrypted_check",
        r"(ControlPlaneLogs|FlowLogs)\w*",
        _IMPORTED,
    ),
    Acknowledged("cfn-guard", "eks_secrets_encrypted_check", r"Cluster\w+", _IMPORTED),
    Acknowledged(
        "cfn-lint",
        "W3005",
        r"Cluster\w+",
        "the CDK writes a dependency that a Ref already is: twice is harmless",
    ),
)
