"""The two stacks: synthesized once as anybody would, then deployed to moto.

Run in .venv-infra (`make infra`): elsewhere there is no aws_cdk and nothing is
collected.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from infra import moto_cfn

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra" / "eks"
ACCOUNT = "123456789012"  # moto's
REGION = "eu-west-1"
STACKS = ("IsocenterData", "IsocenterCluster")
CONTEXT = {"domain": "imaging.example.org"}

# Also for the CDK in this process: the venv's node, not the machine's.
os.environ.setdefault("JSII_NODE", str(Path(sys.executable).with_name("node")))

if importlib.util.find_spec("aws_cdk") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/infra/golden anew from what is synthesized",
    )


def pytest_collection_modifyitems(items):
    # The first test that asks for a template waits for the CDK to make it.
    here = Path(__file__).parent
    for item in items:
        ours = item.path.is_relative_to(here)
        if ours and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def golden(request):
    """Compares a template with its golden file, or writes that."""

    def check(name, template):
        path = Path(__file__).parent / "golden" / f"{name}.json"
        text = json.dumps(template, indent=1, sort_keys=True) + "\n"
        if request.config.getoption("update_golden"):
            path.write_text(text)
        assert path.read_text() == text, (
            f"{name} has changed: look at it with infra/eks/venv.sh and "
            ".venv-infra/bin/pytest tests/infra --update-golden; git diff tests/infra"
        )

    return check


def no_network():
    """A command's beginning that takes the network away, where that is allowed."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return []


def synthesize(folder, context=CONTEXT, region=REGION, **variables):
    """`python app.py` with an empty environment and no network; what was run."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps(context),
        **({"DEPLOY_REGION": region} if region else {}),
        **variables,
    }
    return subprocess.run(
        [
            *(*no_network(), "env", "-i"),
            *(f"{name}={value}" for name, value in environment.items()),
            *(sys.executable, "app.py"),
        ],
        cwd=INFRA,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="session")
def assembly(tmp_path_factory):
    """Folder of the synthesized templates."""
    folder = tmp_path_factory.mktemp("cdk.out")
    started = time.monotonic()
    done = synthesize(folder)
    assert done.returncode == 0, done.stderr[-4000:]
    offline = "no network" if no_network() else "the network there"
    print(f"synth: {time.monotonic() - started:.1f} s, env -i, {offline}")  # noqa: T201 - shown with -s
    return folder


@pytest.fixture(scope="session")
def templates(assembly):
    """Templates by the stack's name."""
    return {
        name: json.loads((assembly / f"{name}.template.json").read_text())
        for name in STACKS
    }


class Deployed:
    """The stacks as moto made them."""

    def __init__(self, outputs, resources):
        self.outputs = outputs
        self.resources = resources

    def client(self, service):
        return boto3.client(service, region_name=REGION)

    def ids(self, kind):
        """Physical ids of a type."""
        return [each for each, its_kind in self.resources.items() if its_kind == kind]


@pytest.fixture(scope="session")
def deployed(assembly, templates):
    """Both stacks, unmodified, made by moto's CloudFormation."""
    credentials = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": REGION,
    }
    before = dict(os.environ)
    os.environ.update(credentials)
    with mock_aws():
        moto_cfn.declared.Declared.made.clear()
        cloudformation = boto3.client("cloudformation", region_name=REGION)
        outputs, resources = {}, {}
        for name in STACKS:
            body = (assembly / f"{name}.template.json").read_text()
            cloudformation.create_stack(
                StackName=name,
                TemplateBody=body,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            )
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            assert stack["StackStatus"] == "CREATE_COMPLETE"
            outputs[name] = {
                each["OutputKey"]: each["OutputValue"]
                for each in stack.get("Outputs", [])
            }
            for page in cloudformation.get_paginator("list_stack_resources").paginate(
                StackName=name
            ):
                for each in page["StackResourceSummaries"]:
                    resources[each.get("PhysicalResourceId", "")] = each["ResourceType"]
        yield Deployed(outputs, resources)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def outputs(deployed):
    """All outputs of both stacks, as `cdk deploy --outputs-file` has them flat."""
    return {
        key: value for each in deployed.outputs.values() for key, value in each.items()
    }


@pytest.fixture(scope="session")
def role_statements(deployed, outputs):
    """Statements of a deployed role, by its output's name."""
    iam = deployed.client("iam")

    def read(output):
        name = outputs[output].rpartition("/")[2]
        statements = []
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)
            statements += document["PolicyDocument"]["Statement"]
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert not attached, f"{name} has policies from elsewhere: {attached}"
        return statements

    return read
