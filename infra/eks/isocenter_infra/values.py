"""``isocenter-values``: the chart's values from the stacks' outputs.

::

    isocenter-values --outputs-file outputs.json > values.aws.yaml
    isocenter-values --stack IsocenterData > values.aws.yaml

The first reads what ``cdk deploy --outputs-file`` wrote, the second asks
CloudFormation (DescribeStacks).
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from isocenter_infra.output_names import CERTIFICATE_OUTPUT

TLS_SECRET = "isocenter-dicom-tls"  # noqa: S105 - a name
"""The Secret that the how-to makes for DICOM's listener."""
CHART_BLOCKS = {
    "storescp": "storescp",
    "tlm-proxy": "tlmProxy",
    "fetcher": "fetcher",
    "operator": "operator",
    "intake": "intake",
    "pipeline": "pipeline",
}
"""Component with a pod role -> its block of the values."""
_EXPORTS = "ExportsOutput"
"""How outputs begin that one stack makes for the other."""


class OutputsError(Exception):
    """The outputs can't be used; the text says which, and what to do."""


class _Outputs:
    """Outputs by name; notes the names that are asked for and not there."""

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._outputs = outputs
        self.missing: set[str] = set()

    def __getitem__(self, name: str) -> str:
        value = self._outputs.get(name, "")
        if not value:
            self.missing.add(name)
        return value

    def get(self, name: str) -> str | None:
        return self._outputs.get(name) or None


def chart_values(
    outputs: Mapping[str, str], *, identity: str = "pod"
) -> dict[str, Any]:
    """Values of charts/isocenter for one account.

    Args:
        outputs: of the stacks, by name.
        identity: "pod" (EKS Pod Identity, which needs no value) or "irsa" (each
            service account is annotated with its role).

    Raises:
        OutputsError: naming every output that is missing.
    """
    of = _Outputs(outputs)
    values: dict[str, Any] = {
        "platform": {
            "bucket": of["ReceiveBucketName"],
            "datastore_id": of["DatastoreId"],
            "queue_url": of["QueueUrl"],
            "import_role_arn": of["ImportRoleArn"],
        },
        "images": {"registry": of["ImageRegistry"]},
        "aws": {"region": of["Region"]},
        "storescp": {"tlsSecret": TLS_SECRET, "service": {"type": "LoadBalancer"}},
        "tlmProxy": {
            "config": {
                "auth_mode": "cognito",
                "cognito_user_pool_id": of["UserPoolId"],
                "cognito_client_id": of["UserPoolClientId"],
            }
        },
        "viewer": {"config": {"oidc": {"origins": [of["UserPoolDomain"]]}}},
        "pipeline": {
            "enabled": True,
            "name": of["PipelineName"],
            "roleArn": of["SageMakerRoleArn"],
            "fetchRoleArn": of["ProcessingRoleArn"],
            "trainRoleArn": of["TrainingRoleArn"],
            "kmsKeyArn": of["KmsKeyArn"],
        },
    }
    certificate = of.get(CERTIFICATE_OUTPUT)
    if certificate:
        values["ingress"] = {
            "enabled": True,
            "host": of["Domain"],
            "alb": {
                "enabled": True,
                "certificateArn": certificate,
                "createClass": True,
            },
        }
    if identity == "irsa":
        for component, block in CHART_BLOCKS.items():
            role_arn = of[role_output(component)]
            values.setdefault(block, {})["serviceAccount"] = {
                "annotations": {"eks.amazonaws.com/role-arn": role_arn}
            }
    if of.missing:
        raise OutputsError(
            f"outputs are missing: {', '.join(sorted(of.missing))}; deploy the stack "
            "IsocenterData of this version, and give its outputs"
        )
    return values


def role_output(component: str) -> str:
    """The output that has a component's role: ``TlmProxyRoleArn``."""
    return "".join(part.capitalize() for part in component.split("-")) + "RoleArn"


def merge(stacks: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The outputs of several stacks as one, without those made for each other.

    Raises:
        OutputsError: two stacks have different values for a name.
    """
    merged: dict[str, str] = {}
    for stack, outputs in stacks.items():
        for name, value in outputs.items():
            if name.startswith(_EXPORTS):
                continue
            if merged.setdefault(name, value) != value:
                raise OutputsError(
                    f"{name} of stack {stack} differs from another stack's: give the "
                    "outputs of one platform only"
                )
    return merged


def read_file(path: Path) -> dict[str, dict[str, str]]:
    """Stack -> outputs, as ``cdk deploy --outputs-file`` writes them.

    Raises:
        OutputsError: naming the file.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise OutputsError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise OutputsError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not all(
        isinstance(outputs, dict) and all(isinstance(v, str) for v in outputs.values())
        for outputs in document.values()
    ):
        raise OutputsError(
            f"{path} is not an outputs file: make it with cdk deploy --outputs-file"
        )
    return document


def ask(names: Sequence[str], cloudformation: Any) -> dict[str, dict[str, str]]:
    """Stack -> outputs, from CloudFormation.

    Raises:
        OutputsError: naming the stack that could not be read.
    """
    found = {}
    for name in names:
        try:
            answer = cloudformation.describe_stacks(StackName=name)
        except (BotoCoreError, ClientError) as error:
            raise OutputsError(f"stack {name} can't be read: {error}") from error
        found[name] = {
            output["OutputKey"]: output["OutputValue"]
            for output in answer["Stacks"][0].get("Outputs", ())
        }
    return found


class _Text(str):
    """A value, as against a key: written in double quotes.

    An account's 12 digits without them are a number to YAML, and 1.23e+11 to Helm.
    """

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes keys plain, texts quoted, and every value out in full."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


_Dumper.add_representer(
    _Text,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", str(text), style='"'
    ),
)


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    return value


def to_yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML in which all texts are quoted."""
    text: str = yaml.dump(
        _quoted(dict(values)), Dumper=_Dumper, sort_keys=False, width=1000
    )
    return text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="isocenter-values",
        description="Write values.aws.yaml for charts/isocenter from stack outputs.",
    )
    source = top.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--outputs-file", type=Path, help="written by cdk deploy --outputs-file"
    )
    source.add_argument(
        "--stack", nargs="+", metavar="NAME", help="stacks to ask CloudFormation for"
    )
    top.add_argument(
        "--identity",
        choices=("pod", "irsa"),
        default="pod",
        help="how pods get their roles; default: %(default)s",
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if an output is missing or can't be read."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.stack:
            try:
                client = boto3.client("cloudformation")
            except BotoCoreError as error:
                raise OutputsError(f"CloudFormation can't be asked: {error}") from error
            stacks = ask(arguments.stack, client)
        else:
            stacks = read_file(arguments.outputs_file)
        outputs = merge(stacks)
        values = chart_values(outputs, identity=arguments.identity)
    except OutputsError as error:
        sys.stderr.write(f"isocenter-values: {error}.\n")
        return 1
    if "ingress" not in values:
        sys.stderr.write(
            "isocenter-values: there is no CertificateArn, so the ingress is left "
            "out: set certificate_arn, or write an ingress: block of your own.\n"
        )
    sys.stdout.write(to_yaml(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
