"""``isocenter-preflight``: what is missing, by name, before anything is made.

::

    isocenter-preflight deploy [--assembly cdk.out] [--principal ARN]
    isocenter-preflight roles --outputs-file outputs.json
    isocenter-preflight roles --stack IsocenterData

``deploy`` asks IAM whether whoever deploys may do what the synthesized templates need;
``roles`` whether each role of an installed platform may do what its component does.
Exit codes: 0 nothing is missing, 1 something is, 2 it could not be asked.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

from isocenter_infra import deploy_actions, installed, simulation, values
from isocenter_infra.regions import REGIONS
from isocenter_infra.simulation import (
    Denied,
    PreflightError,
    Question,
    Simulator,
)

OK, MISSING, FAILED = 0, 1, 2
_ROLES_FIX = (
    "fix: deploy IsocenterData again, which gives roles their policies; if that does "
    "not help, a permissions boundary or a service control policy takes them away"
)


def check_deployer(
    iam: Any, sts: Any, assembly: Path, principal: str | None
) -> list[str]:
    """What whoever deploys may not do: lines to print, none if all is well.

    Args:
        iam: boto3 client.
        sts: boto3 client.
        assembly: folder that `cdk synth` wrote.
        principal: who deploys, if not these credentials: such as the role that is
            given to CloudFormation.

    Raises:
        PreflightError: there are no templates, or AWS can't be asked.
    """
    needed = _needed(assembly)
    who = principal or simulation.principal(iam, sts)
    if who is None:
        return []
    found = Simulator(iam, who).denied([Question(tuple(needed))])
    if not found:
        return []
    lines = [f"{who} may not do what the stacks need:"]
    lines += [
        f"  {each.action}{_remark(each)} ({', '.join(needed[each.action])})"
        for each in found
    ]
    return [*lines, *_policy(found, who)]


def check_roles(iam: Any, outputs: Mapping[str, str]) -> list[str]:
    """What roles of an installed platform may not do: lines to print.

    Raises:
        PreflightError: outputs are missing, or AWS can't be asked.
    """
    try:
        known = installed.names(outputs)
    except installed.MissingOutputsError as error:
        raise PreflightError(f"{error}.") from error
    _check_region(known["region"])
    lines = []
    for role, output in installed.ROLE_OUTPUTS.items():
        arn = outputs[output]
        found = Simulator(iam, arn).denied(installed.questions(role, known))
        if found:
            lines.append(f"{role} ({arn}) may not do what it has to:")
            lines += [
                f"  {each.action} on {each.resource}{_remark(each)}" for each in found
            ]
    if lines:
        lines.append(_ROLES_FIX)
    return lines


def _needed(assembly: Path) -> dict[str, list[str]]:
    files = sorted(assembly.glob("*.template.json")) if assembly.is_dir() else []
    if not files:
        raise PreflightError(
            f"there are no templates in {assembly}: run `cdk synth` in infra/eks, "
            "or name the folder with --assembly."
        )
    try:
        templates = [json.loads(file.read_bytes()) for file in files]
        return deploy_actions.actions_needed(templates)
    except (ValueError, KeyError) as error:
        raise PreflightError(f"{assembly} can't be used: {error}.") from error


def _remark(denied: Denied) -> str:
    if denied.explicit:
        return " [denied: take the Deny away, no Allow helps]"
    if denied.unknown:
        return f" [depends on {', '.join(denied.unknown)}, which only a request has]"
    return ""


def _policy(found: Sequence[Denied], who: str) -> list[str]:
    """A policy that gives what a Deny does not take."""
    missing = sorted({each.action for each in found if not each.explicit})
    if not missing:
        return []
    statement = {"Effect": "Allow", "Action": missing, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return [f"fix: give {who} a policy that allows them, such as", policy]


def _check_region(region: str | None) -> None:
    if region is None:
        raise PreflightError("there is no region: set AWS_REGION.")
    if region not in REGIONS:
        raise PreflightError(
            f"HealthImaging is not in {region}: use one of {', '.join(REGIONS)}."
        )


def _outputs(arguments: argparse.Namespace) -> dict[str, str]:
    try:
        if arguments.outputs_file:
            return values.merge(values.read_file(arguments.outputs_file))
        with simulation.asking("about the stacks"):
            client = boto3.client("cloudformation")
        return values.merge(values.ask(arguments.stack, client))
    except values.OutputsError as error:
        raise PreflightError(f"{error}.") from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="isocenter-preflight",
        description="Say which IAM actions are missing, before anything is made.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    deploy = commands.add_parser("deploy", help="ask for whoever deploys the stacks")
    deploy.add_argument(
        "--assembly",
        type=Path,
        default=Path("cdk.out"),
        help="folder of the templates; default: %(default)s",
    )
    deploy.add_argument(
        "--principal",
        metavar="ARN",
        help="user or role that deploys, if not these credentials",
    )
    roles = commands.add_parser("roles", help="ask for an installed platform's roles")
    source = roles.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--outputs-file", type=Path, help="written by cdk deploy --outputs-file"
    )
    source.add_argument(
        "--stack", nargs="+", metavar="NAME", help="stacks to ask CloudFormation for"
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring for the exit codes."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "deploy":
            _check_region(_own_region())
            iam, sts = simulation.clients()
            lines = check_deployer(iam, sts, arguments.assembly, arguments.principal)
        else:
            outputs = _outputs(arguments)
            iam, _ = simulation.clients()
            lines = check_roles(iam, outputs)
    except PreflightError as error:
        sys.stderr.write(f"isocenter-preflight: {error}\n")
        return FAILED
    for line in lines:
        sys.stdout.write(line + "\n")
    if not lines:
        sys.stdout.write("nothing is missing\n")
    return MISSING if lines else OK


def _own_region() -> str | None:
    try:
        region: str | None = boto3.Session().region_name
    except BotoCoreError as error:
        raise PreflightError(f"AWS's settings can't be used: {error}.") from error
    return region


if __name__ == "__main__":
    sys.exit(main())
