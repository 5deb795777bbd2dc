"""The EKS cluster in Auto Mode, who administers it, and which pods have which role."""

from collections.abc import Mapping

from aws_cdk import Stack
from aws_cdk import aws_eks as eks_resources
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_kms as kms

from isocenter_infra.logs import log_group
from isocenter_infra.names import pascal, service_account
from isocenter_infra.network import Network
from isocenter_infra.settings import Settings


def auto_mode_cluster(
    stack: Stack, settings: Settings, where: Network, key_arn: str
) -> eks.Cluster:
    """The cluster: nodes, storage and load balancers are EKS's own business.

    Its API answers inside the VPC, and to ``api_cidrs`` outside.
    """
    access = eks.EndpointAccess.PRIVATE
    if settings.api_cidrs:
        access = eks.EndpointAccess.PUBLIC_AND_PRIVATE.only_from(*settings.api_cidrs)
    # EKS would make it without an end.
    path = f"/aws/eks/{settings.name_prefix}/cluster"
    group = log_group(stack, settings, key_arn, "ControlPlaneLogs", path)
    cluster = eks.Cluster(
        stack,
        "Cluster",
        cluster_name=settings.name_prefix,
        version=eks.KubernetesVersion.of(settings.kubernetes_version),
        default_capacity_type=eks.DefaultCapacityType.AUTOMODE,
        vpc=where.vpc,
        vpc_subnets=[where.subnets],
        endpoint_access=access,
        secrets_encryption_key=kms.Key.from_key_arn(stack, "Key", key_arn),
        cluster_logging=[
            eks.ClusterLoggingTypes.API,
            eks.ClusterLoggingTypes.AUDIT,
            eks.ClusterLoggingTypes.AUTHENTICATOR,
            eks.ClusterLoggingTypes.CONTROLLER_MANAGER,
            eks.ClusterLoggingTypes.SCHEDULER,
        ],
        # CloudFormation creates it with the rights of whoever deploys: that is who
        # administers it, unless a role is named for it.
        bootstrap_cluster_creator_admin_permissions=settings.admin_role_arn is None,
    )
    # A parameter that only the kubectl provider, which is not used, waits for.
    cluster.node.try_remove_child("KubectlReadyBarrier")
    resource = cluster.node.find_child("Resource")
    # Extended support costs six times as much: better that EKS upgrades.
    resource.add_property_override("UpgradePolicy.SupportType", "STANDARD")
    resource.add_resource_dependency(group)
    if settings.admin_role_arn:
        cluster.grant_cluster_admin("Administrator", settings.admin_role_arn)
    return cluster


def pod_identities(
    stack: Stack, settings: Settings, cluster: eks.Cluster, roles: Mapping[str, str]
) -> None:
    """The chart's service accounts with their roles.

    Args:
        stack: that they are made in.
        settings: namespace and release of the chart.
        cluster: of the pods.
        roles: component -> ARN of its role.
    """
    for component, role_arn in roles.items():
        eks_resources.CfnPodIdentityAssociation(
            stack,
            f"Identity{pascal(component)}",
            cluster_name=cluster.cluster_name,
            namespace=settings.namespace,
            service_account=service_account(settings, component),
            role_arn=role_arn,
        )
