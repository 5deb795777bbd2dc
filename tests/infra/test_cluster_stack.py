"""IsocenterCluster: network, cluster and identities, made anew or into what exists."""

import pytest
from aws_cdk.assertions import Match, Template
from infra.test_data_stack import EXISTING, SUBNETS, of_type, synthesized
from isocenter_infra.network import PRIVATE_LINK
from isocenter_infra.permissions import ROLES
from isocenter_infra.statements import Principal

NAME = "IsocenterCluster"


@pytest.fixture(scope="module")
def raw(templates):
    return templates[NAME]


@pytest.fixture(scope="module")
def template(raw):
    return Template.from_json(raw)


@pytest.fixture(scope="module")
def into_existing():
    return synthesized(tuple(EXISTING.items()))[1]


def test_golden(raw, golden):
    golden(NAME, raw)


def test_auto_mode_has_all_three_of_its_parts(template):
    template.has_resource_properties(
        "AWS::EKS::Cluster",
        {
            "ComputeConfig": {
                "Enabled": True,
                "NodePools": ["system", "general-purpose"],
            },
            "StorageConfig": {"BlockStorage": {"Enabled": True}},
            "KubernetesNetworkConfig": {"ElasticLoadBalancing": {"Enabled": True}},
            "UpgradePolicy": {"SupportType": "STANDARD"},
            "EncryptionConfig": [
                {"Provider": Match.any_value(), "Resources": ["secrets"]}
            ],
        },
    )


def test_the_api_is_private_and_the_deployer_administers(raw):
    (cluster,) = of_type(raw, "AWS::EKS::Cluster")
    where = cluster["ResourcesVpcConfig"]
    assert where["EndpointPrivateAccess"] is True
    assert where["EndpointPublicAccess"] is False
    access = cluster["AccessConfig"]
    assert access["AuthenticationMode"] == "API"
    assert access["BootstrapClusterCreatorAdminPermissions"] is True
    assert not of_type(raw, "AWS::EKS::AccessEntry")


def test_named_networks_and_a_named_administrator(into_existing):
    (cluster,) = of_type(into_existing, "AWS::EKS::Cluster")
    where = cluster["ResourcesVpcConfig"]
    assert where["EndpointPrivateAccess"] is True
    assert where["EndpointPublicAccess"] is True
    assert where["PublicAccessCidrs"] == ["203.0.113.7/32"]
    assert cluster["Version"] == "1.36"
    assert cluster["AccessConfig"]["BootstrapClusterCreatorAdminPermissions"] is False
    (entry,) = of_type(into_existing, "AWS::EKS::AccessEntry")
    assert entry["PrincipalArn"] == "arn:aws:iam::111122223333:role/Admin"
    (policy,) = entry["AccessPolicies"]
    assert "AmazonEKSClusterAdminPolicy" in str(policy["PolicyArn"])


def test_logs_have_an_end_before_they_begin(raw):
    groups = {g["LogGroupName"]: g for g in of_type(raw, "AWS::Logs::LogGroup")}
    assert set(groups) == {
        "/aws/eks/isocenter/cluster",
        "/isocenter/isocenter/flow-logs",
    }
    assert {g["RetentionInDays"] for g in groups.values()} == {365}
    (cluster,) = (
        r for r in raw["Resources"].values() if r["Type"] == "AWS::EKS::Cluster"
    )
    assert "ControlPlaneLogs" in cluster["DependsOn"]


def test_pixels_go_past_the_nat_gateway(raw):
    (endpoint,) = of_type(raw, "AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert "s3" in str(endpoint["ServiceName"])


def test_subnets_are_tagged_for_load_balancers(raw):
    tags = [
        {t["Key"]: t["Value"] for t in subnet["Tags"]}
        for subnet in of_type(raw, "AWS::EC2::Subnet")
    ]
    assert sum(t.get("kubernetes.io/role/elb") == "1" for t in tags) == 2
    assert sum(t.get("kubernetes.io/role/internal-elb") == "1" for t in tags) == 2


def test_an_existing_vpc_is_only_used(into_existing):
    kinds = {r["Type"] for r in into_existing["Resources"].values()}
    assert not kinds & {
        "AWS::EC2::VPC",
        "AWS::EC2::Subnet",
        "AWS::EC2::NatGateway",
        "AWS::EC2::FlowLog",
    }
    (cluster,) = of_type(into_existing, "AWS::EKS::Cluster")
    assert cluster["ResourcesVpcConfig"]["SubnetIds"] == SUBNETS


def test_private_link_is_for_the_cluster_alone(into_existing):
    endpoints = of_type(into_existing, "AWS::EC2::VPCEndpoint")
    services = {
        e["ServiceName"].removeprefix("com.amazonaws.eu-west-1."): e for e in endpoints
    }
    assert set(services) == {*PRIVATE_LINK.values(), "s3"}
    assert services.pop("s3")["RouteTableIds"] == ["rtb-11111111"]
    for endpoint in services.values():
        assert endpoint["PrivateDnsEnabled"] is True
        assert endpoint["SubnetIds"] == SUBNETS
    (ingress,) = of_type(into_existing, "AWS::EC2::SecurityGroupIngress")
    assert ingress["FromPort"] == ingress["ToPort"] == 443
    assert "ClusterSecurityGroupId" in str(ingress["SourceSecurityGroupId"])


def test_every_pod_role_has_its_service_account(raw):
    found = {
        a["ServiceAccount"]: a["Namespace"]
        for a in of_type(raw, "AWS::EKS::PodIdentityAssociation")
    }
    pods = [name for name, role in ROLES.items() if role.principal is Principal.PODS]
    assert found == dict.fromkeys((f"isocenter-{name}" for name in pods), "isocenter")
