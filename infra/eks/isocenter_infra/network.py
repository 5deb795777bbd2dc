"""The VPC: two zones, private subnets for pods; or an existing one."""

from dataclasses import dataclass

from aws_cdk import Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from isocenter_infra.logs import log_group
from isocenter_infra.settings import Settings

PRIVATE_LINK = {
    # HealthImaging's three hosts: calls, frames and metadata, DICOMweb.
    "MedicalImaging": "medical-imaging",
    "RuntimeMedicalImaging": "runtime-medical-imaging",
    "DicomMedicalImaging": "dicom-medical-imaging",
    "Sqs": "sqs",
    "SageMaker": "sagemaker.api",
    "EcrApi": "ecr.api",
    "EcrDocker": "ecr.dkr",
    # The tile proxy reads the user pool's keys there.
    "CognitoIdp": "cognito-idp",
    "Sts": "sts",
    # Pod Identity's credentials.
    "EksAuth": "eks-auth",
}
"""Id -> service after ``com.amazonaws.<region>.``, called by pods or nodes.

Source: HealthImaging developer guide, "Interface VPC endpoints"; EKS user guide,
"Deploy private clusters".
"""


@dataclass(frozen=True)
class Network:
    """Where the cluster is."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection


def network(stack: Stack, settings: Settings, key_arn: str) -> Network:
    """The VPC that is named, or a new one with flow logs and S3's gateway."""
    if settings.vpc_id:
        return _existing(stack, settings, settings.vpc_id)
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        ip_addresses=ec2.IpAddresses.cidr(settings.vpc_cidr),
        max_azs=2,
        nat_gateways=settings.nat_gateways,
        subnet_configuration=[
            ec2.SubnetConfiguration(
                name="public",
                subnet_type=ec2.SubnetType.PUBLIC,
                cidr_mask=24,
                map_public_ip_on_launch=False,
            ),
            ec2.SubnetConfiguration(
                name="private",
                subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS,
                cidr_mask=24,
            ),
        ],
        # Pixels go to and from S3 by it, past the NAT gateway and its price.
        gateway_endpoints={
            "S3": ec2.GatewayVpcEndpointOptions(
                service=ec2.GatewayVpcEndpointAwsService.S3
            )
        },
    )
    for subnet in vpc.public_subnets:
        Tags.of(subnet).add("kubernetes.io/role/elb", "1")
    for subnet in vpc.private_subnets:
        Tags.of(subnet).add("kubernetes.io/role/internal-elb", "1")
    _flow_logs(stack, settings, key_arn, vpc.vpc_id)
    return Network(vpc, ec2.SubnetSelection(subnets=vpc.private_subnets))


def _existing(stack: Stack, settings: Settings, vpc_id: str) -> Network:
    ids = list(settings.private_subnet_ids)
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id=vpc_id,
        # One for each subnet; no resource is made of these names.
        availability_zones=[
            f"{settings.region}{'abcdefgh'[i]}" for i in range(len(ids))
        ],
        private_subnet_ids=ids,
    )
    if settings.private_route_table_ids:
        ec2.CfnVPCEndpoint(
            stack,
            "S3",
            vpc_id=vpc_id,
            service_name=f"com.amazonaws.{settings.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(settings.private_route_table_ids),
        )
    return Network(vpc, ec2.SubnetSelection(subnets=vpc.private_subnets))


def _flow_logs(stack: Stack, settings: Settings, key_arn: str, vpc_id: str) -> None:
    """Who talked to whom, to CloudWatch.

    Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    path = f"/isocenter/{settings.name_prefix}/flow-logs"
    group = log_group(stack, settings, key_arn, "FlowLogs", path)
    role = iam.CfnRole(
        stack,
        "FlowLogsRole",
        assume_role_policy_document={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": stack.account}},
                }
            ],
        },
        policies=[
            iam.CfnRole.PolicyProperty(
                policy_name="flow-logs",
                policy_document={
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": [
                                "logs:CreateLogStream",
                                "logs:DescribeLogStreams",
                                "logs:PutLogEvents",
                            ],
                            "Resource": group.attr_arn,
                        }
                    ],
                },
            )
        ],
    )
    ec2.CfnFlowLog(
        stack,
        "FlowLog",
        resource_id=vpc_id,
        resource_type="VPC",
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_group_name=path,
        deliver_logs_permission_arn=role.attr_arn,
    ).add_resource_dependency(group)


def private_link(
    stack: Stack, settings: Settings, where: Network, cluster_group: ec2.ISecurityGroup
) -> None:
    """Interface endpoints that the cluster's pods and nodes reach, and nobody else."""
    if not settings.private_link:
        return
    group = ec2.SecurityGroup(
        stack,
        "EndpointsGroup",
        vpc=where.vpc,
        description="AWS services by PrivateLink, for the cluster",
        allow_all_outbound=False,
    )
    group.add_ingress_rule(cluster_group, ec2.Port.tcp(443), "pods and nodes")
    for name, service in PRIVATE_LINK.items():
        ec2.InterfaceVpcEndpoint(
            stack,
            f"Endpoint{name}",
            vpc=where.vpc,
            service=ec2.InterfaceVpcEndpointService(
                f"com.amazonaws.{settings.region}.{service}", 443
            ),
            subnets=where.subnets,
            security_groups=[group],
            private_dns_enabled=True,
            open=False,
        )
