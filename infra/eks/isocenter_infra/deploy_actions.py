"""Which IAM actions a deployment needs, by the resource types of its templates.

CloudFormation makes resources with the rights of whoever deploys (or of the role
given to it). What a type's handler may call is deploy_actions.json, from AWS's
registry; that is everything for every property, so what only other properties than
ours bring about is taken away here, each with its reason.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_TABLE: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_name("deploy_actions.json").read_text(encoding="utf-8")
)
CLOUDFORMATION = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
)
"""What `cdk deploy` and `aws cloudformation deploy` call themselves."""
ROLES_PASSED = frozenset(
    {
        "AWS::EC2::FlowLog",
        "AWS::EKS::Cluster",
        "AWS::EKS::PodIdentityAssociation",
        "AWS::SageMaker::Pipeline",
    }
)
"""Types that a role is given to in our templates."""
_NOT_OURS: Mapping[str, str] = {
    "cloudfront:": "a user pool's own domain, ours is of Cognito's",
    "firehose:": "log delivery to Firehose",
    "lambda:": "a data store's authorizer",
    "s3tables:": "metadata tables of a bucket",
    "vpc-lattice:": "endpoints of a service network",
    "vpce:AllowMultiRegion": "endpoints of another region",
    "autoscaling:": "flow logs of an Auto Scaling group",
    "ec2:AcceptAddressTransfer": "an address of another account",
    "ec2:AttachVpnGateway": "a VPN gateway",
    "ec2:DescribeVpnGateways": "a VPN gateway",
    "ec2:CreateVpcEncryptionControl": "encryption controls of a VPC",
    "events:PutPermission": "rules of another account's bus",
    "iam:AttachGroupPolicy": "policies of groups",
    "iam:AttachUserPolicy": "policies of users",
    "iam:GetGroupPolicy": "policies of groups",
    "iam:GetUserPolicy": "policies of users",
    "iam:PutGroupPolicy": "policies of groups",
    "iam:PutUserPolicy": "policies of users",
    "logs:PutBearerTokenAuthentication": "log groups that take bearer tokens",
    "logs:PutDataProtectionPolicy": "data protection policies",
    "logs:PutIndexPolicy": "index policies",
    "s3:CreateBucketMetadataTableConfiguration": "metadata tables of a bucket",
    "s3:DeleteObject": "replication",
    "s3:GetBucketMetadataTableConfiguration": "metadata tables of a bucket",
    "s3:PutAccelerateConfiguration": "transfer acceleration",
    "s3:PutAnalyticsConfiguration": "storage class analysis",
    "s3:PutBucketAbac": "access by tags",
    "s3:PutBucketCORS": "reads by browsers",
    "s3:PutBucketObjectLockConfiguration": "object lock",
    "s3:PutBucketWebsite": "static sites",
    "s3:PutIntelligentTieringConfiguration": "intelligent tiering",
    "s3:PutInventoryConfiguration": "inventories",
    "s3:PutMetricsConfiguration": "request metrics",
    "s3:PutObjectAcl": "access control lists",
    "s3:PutReplicationConfiguration": "replication",
    "sns:PutDataProtectionPolicy": "data protection policies",
}
"""Beginnings of actions -> the property that brings them about, which we don't set."""


class UnknownTypeError(ValueError):
    """A resource type that deploy_actions.json does not have."""


def actions_needed(templates: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Actions that making the templates' resources needs.

    Args:
        templates: CloudFormation templates, as parsed JSON.

    Returns:
        For each action, in order, the types that need it (``stack`` for what
        deploying itself does).

    Raises:
        UnknownTypeError: a type whose actions aren't known.
    """
    needed = {action: {"stack"} for action in CLOUDFORMATION}
    kinds = {
        str(resource["Type"])
        for template in templates
        for resource in template.get("Resources", {}).values()
    }
    for kind in sorted(kinds):
        if kind not in _TABLE:
            raise UnknownTypeError(
                f"the actions for {kind} are not known: add it to TYPES in "
                "deploy_actions_table.py and write the table anew"
            )
        for action in _TABLE[kind]:
            if _is_ours(kind, action):
                needed.setdefault(action, set()).add(kind)
    return {action: sorted(needed[action]) for action in sorted(needed)}


def _is_ours(kind: str, action: str) -> bool:
    if action == "iam:PassRole":
        return kind in ROLES_PASSED
    return not action.startswith(tuple(_NOT_OURS))
