"""The bucket of instances, batches, import output and runs; and the data store."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_healthimaging as healthimaging
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from isocenter_infra.settings import Settings

_MULTIPART_DAYS = 7
_OLD_VERSION_DAYS = 30


def platform_bucket(stack: Stack, settings: Settings, key: kms.IKey) -> s3.Bucket:
    """The bucket, with a second one for its access logs; both stay with the data."""
    access_logs = s3.Bucket(
        stack,
        "AccessLogs",
        # S3 delivers its logs to SSE-S3 buckets only.
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="expire",
                expiration=Duration.days(settings.log_retention_days),
                noncurrent_version_expiration=Duration.days(_OLD_VERSION_DAYS),
            )
        ],
        removal_policy=RemovalPolicy.RETAIN,
    )
    bucket = s3.Bucket(
        stack,
        "Bucket",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        versioned=True,
        server_access_logs_bucket=access_logs,
        server_access_logs_prefix="bucket/",
        lifecycle_rules=_lifecycle(settings),
        removal_policy=RemovalPolicy.RETAIN,
    )
    resource = bucket.node.default_child
    # The construct's own switch for this makes a Lambda function.
    resource.add_property_override(
        "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled",
        value=True,
    )
    return bucket


def _lifecycle(settings: Settings) -> list[s3.LifecycleRule]:
    rules = [
        s3.LifecycleRule(
            id="leftovers",
            abort_incomplete_multipart_upload_after=Duration.days(_MULTIPART_DAYS),
            noncurrent_version_expiration=Duration.days(_OLD_VERSION_DAYS),
            # Not with an expiration in days: S3 refuses the two in one rule.
            expired_object_delete_marker=True,
        )
    ]
    for prefix, days in (
        ("DICOM/", settings.dicom_retention_days),
        ("runs/", settings.runs_retention_days),
    ):
        if days:
            rules.append(
                s3.LifecycleRule(
                    id=f"expire-{prefix.rstrip('/').lower()}",
                    prefix=prefix,
                    expiration=Duration.days(days),
                )
            )
    return rules


def datastore_id(stack: Stack, settings: Settings, key: kms.IKey) -> str:
    """Id of the existing data store, or of a new one that stays with its images."""
    if settings.datastore_id:
        return settings.datastore_id
    datastore = healthimaging.CfnDatastore(
        stack,
        "Datastore",
        datastore_name=settings.name_prefix,
        kms_key_arn=key.key_arn,
    )
    # Every property's change means another data store: never delete the old one.
    datastore.apply_removal_policy(RemovalPolicy.RETAIN)
    return str(datastore.attr_datastore_id)
