"""Writes deploy_actions.json: the IAM actions by which CloudFormation makes a type.

    python -m isocenter_infra.deploy_actions_table [--check]

Source: the registry schemas of the resource types, `handlers.create.permissions`, and
the Service Authorization Reference for which of those are actions at all; cfn-lint
carries copies of both, so it is of the development environment only.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from isocenter_infra import regions

TABLE = Path(__file__).with_name("deploy_actions.json")
TYPES = (
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::NatGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECR::Repository",
    "AWS::EKS::AccessEntry",
    "AWS::EKS::Addon",
    "AWS::EKS::Cluster",
    "AWS::EKS::PodIdentityAssociation",
    "AWS::Events::Rule",
    "AWS::HealthImaging::Datastore",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::SageMaker::Pipeline",
)
"""What the two stacks can have, whatever the settings."""


def table(types: Iterable[str] = TYPES) -> dict[str, list[str]]:
    """Actions by type, as AWS's registry has them."""
    data = resources.files("cfnlint") / "data"
    schemas = data / "schemas"
    index = _json(schemas / "providers" / f"{regions.REGIONS[0]}.json")
    services = _json(data / "AdditionalSpecs" / "Policies.json")
    found = {}
    for each in sorted(types):
        schema = _json(schemas / "resources" / f"{index[each]}.json")
        permissions = schema["handlers"]["create"]["permissions"]
        found[each] = sorted({name for name in permissions if _known(services, name)})
    return found


def _known(services: dict[str, Any], action: str) -> bool:
    """Whether it is an action: some schemas name what IAM does not have."""
    service, _, name = action.partition(":")
    return name.lower() in services.get(service, {}).get("Actions", {})


def _json(file: Any) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="deploy_actions_table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only tell if it is stale")
    options = parser.parse_args(arguments)
    text = json.dumps(table(), indent=2) + "\n"
    if not options.check:
        TABLE.write_text(text, encoding="utf-8")
    elif TABLE.read_text(encoding="utf-8") != text:
        print(f"{TABLE.name} is stale: run python -m isocenter_infra.deploy_actions_table", file=sys.stderr)  # fmt: skip  # noqa: E501, T201 - one sentence, of a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
