"""IAM roles, made from the table in ``permissions``."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from isocenter_infra.names import pascal, service_account
from isocenter_infra.permissions import ROLES
from isocenter_infra.settings import Settings
from isocenter_infra.statements import Principal, RolePermissions

_ORDER = ("import", "processing", "training", "sagemaker")
"""Roles that others may pass on, before those that do."""


def roles(
    stack: Stack, settings: Settings, names: Mapping[str, str]
) -> dict[str, iam.CfnRole]:
    """All roles, by their name in the table.

    Args:
        stack: that they are made in.
        settings: namespace, release and cluster that pods come from.
        names: for the templates of the table, all but the roles' own.
    """
    known = dict(names)
    made: dict[str, iam.CfnRole] = {}
    for name in (*_ORDER, *(each for each in ROLES if each not in _ORDER)):
        made[name] = _role(stack, settings, name, known)
        known[name] = made[name].attr_arn
    return made


def _role(
    stack: Stack, settings: Settings, name: str, known: Mapping[str, str]
) -> iam.CfnRole:
    permissions = ROLES[name]
    return iam.CfnRole(
        stack,
        f"Role{pascal(name)}",
        description=f"{settings.name_prefix}: {permissions.purpose}",
        assume_role_policy_document=_document(
            _trust(stack, settings, name, permissions, known)
        ),
        policies=[
            iam.CfnRole.PolicyProperty(
                policy_name=name,
                policy_document=_document(
                    [each.render(known) for each in permissions.statements]
                ),
            )
        ],
    )


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _trust(
    stack: Stack,
    settings: Settings,
    name: str,
    permissions: RolePermissions,
    known: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Who takes the role: one principal, and never for another account.

    Sources: EKS user guide, "Create IAM role with trust policy required by EKS Pod
    Identity"; HealthImaging developer guide, "Cross-service confused deputy
    prevention"; SageMaker developer guide, the same.
    """
    equal = {"aws:SourceAccount": stack.account}
    conditions: dict[str, Any] = {"StringEquals": equal}
    actions = ["sts:AssumeRole"]
    statements = []
    if permissions.principal is Principal.PODS:
        actions.append("sts:TagSession")
        account = service_account(settings, name)
        equal |= {
            "aws:RequestTag/eks-cluster-name": settings.name_prefix,
            "aws:RequestTag/kubernetes-namespace": settings.namespace,
            "aws:RequestTag/kubernetes-service-account": account,
        }
        if settings.oidc_provider_arn:
            statements.append(_irsa(settings, settings.oidc_provider_arn, account))
    elif permissions.principal is Principal.HEALTHIMAGING:
        conditions["ArnLike"] = {"aws:SourceArn": known["datastore"]}
    pods_or_service = {
        "Effect": "Allow",
        "Principal": {"Service": permissions.principal.value},
        "Action": actions,
        "Condition": conditions,
    }
    return [pods_or_service, *statements]


def _irsa(settings: Settings, provider_arn: str, account: str) -> dict[str, Any]:
    issuer = provider_arn.partition(":oidc-provider/")[2]
    subject = f"system:serviceaccount:{settings.namespace}:{account}"
    return {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {
            "StringEquals": {
                f"{issuer}:aud": "sts.amazonaws.com",
                f"{issuer}:sub": subject,
            }
        },
    }
