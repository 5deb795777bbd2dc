"""Statements that several roles share; templates as in ``permissions``."""

from isocenter_infra.statements import Statement

BY_SERVICE = "made by {} inside the caller's session, so no component calls it itself"
DATASTORE = ("{datastore}",)
IMAGE_SETS = ("{datastore}", "{datastore}/imageset/*")
NOT_FOUND = (
    "without it S3 answers 403 for an object that is not there, also where a "
    "condition on s3:prefix is not met: GetObject has no prefix"
)


def objects_key(*actions: str) -> Statement:
    """The bucket's key, used through S3 and for the bucket's objects only."""
    reason = BY_SERVICE.format("S3")
    return Statement(
        sid="KeyOfObjects",
        actions=actions,
        resources=("{key}",),
        conditions={
            "StringEquals": {"kms:ViaService": ("s3.{region}.amazonaws.com",)},
            # The bucket with a bucket key, the object without one.
            "StringLike": {
                "kms:EncryptionContext:aws:s3:arn": ("{bucket}", "{bucket}/*")
            },
        },
        unseen=dict.fromkeys(actions, reason),
    )


def key_through(service: str, sid: str) -> Statement:
    """kms:Decrypt for what another service keeps with the platform's key."""
    return Statement(
        sid=sid,
        actions=("kms:Decrypt",),
        resources=("{key}",),
        conditions={
            "StringEquals": {"kms:ViaService": (service + ".{region}.amazonaws.com",)}
        },
        unseen={"kms:Decrypt": BY_SERVICE.format(service)},
    )


IMAGE_SETS_KEY = key_through("medical-imaging", "KeyOfImageSets")


def volumes_key() -> Statement:
    """The key of the jobs' volumes, which SageMaker gives to EBS by a grant."""
    return Statement(
        sid="KeyOfVolumes",
        actions=("kms:CreateGrant",),
        resources=("{key}",),
        conditions={"Bool": {"kms:GrantIsForAWSResource": ("true",)}},
        unseen={"kms:CreateGrant": BY_SERVICE.format("SageMaker")},
    )


def outputs_key() -> Statement:
    """What a job's role needs for an output key that is named.

    Source: SageMaker API, OutputDataConfig, KmsKeyId.
    """
    actions = ("kms:DescribeKey", "kms:Encrypt")
    return Statement(
        sid="KeyOfOutputs",
        actions=actions,
        resources=("{key}",),
        unseen=dict.fromkeys(actions, BY_SERVICE.format("SageMaker")),
    )


def job(kind: str, repository: str) -> tuple[Statement, ...]:
    """What SageMaker does with a job's role before and after our container.

    Source: SageMaker developer guide, "How to use SageMaker AI execution roles",
    CreateProcessingJob and CreateTrainingJob.
    """
    by_sagemaker = BY_SERVICE.format("SageMaker")
    pull = (
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    )
    logs = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    return (
        Statement(
            sid="PullImage",
            actions=pull,
            resources=("{" + repository + "}",),
            unseen=dict.fromkeys(pull, by_sagemaker),
        ),
        Statement(
            sid="RegistryLogin",
            actions=("ecr:GetAuthorizationToken",),
            # ECR knows no resource for it.
            resources=("*",),
            unseen={"ecr:GetAuthorizationToken": by_sagemaker},
        ),
        Statement(
            sid="WriteLogs",
            actions=("logs:CreateLogGroup", *logs),
            resources=(
                "{logs}:log-group:/aws/sagemaker/" + kind,
                "{logs}:log-group:/aws/sagemaker/" + kind + ":log-stream:*",
            ),
            unseen=dict.fromkeys(("logs:CreateLogGroup", *logs), by_sagemaker),
        ),
        Statement(
            sid="WriteMetrics",
            actions=("cloudwatch:PutMetricData",),
            # CloudWatch knows no resource for it; the namespace bounds it.
            resources=("*",),
            conditions={"StringLike": {"cloudwatch:namespace": ("/aws/sagemaker/*",)}},
            unseen={"cloudwatch:PutMetricData": by_sagemaker},
        ),
    )
