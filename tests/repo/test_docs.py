"""The documentation: it builds, its links lead somewhere, its commands can be read."""

import functools
import os
import re
import subprocess
import sys

import pytest
from botocore import xform_name
from botocore.session import Session
from pages.blocks import DOCS, ROOT, TITLES, blocks, commands, pages, runnable

from isocenter.operator.reasons import Reason

PAGES = pages()
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
GUIDES = [
    page for page in PAGES if page.parent.name == "how-to" or page.stem == "tutorial"
]
_AWS = re.compile(r"\baws (?P<service>[a-z][a-z0-9-]*) (?P<operation>[a-z][a-z0-9-]*)")
_HIGH_LEVEL = {
    ("s3", "cp"),
    ("s3", "ls"),
    ("s3", "rm"),
    ("s3", "sync"),
    ("eks", "update-kubeconfig"),
    ("ecr", "get-login-password"),
    ("cloudformation", "deploy"),
}
"""Commands of the AWS CLI that are no operation of an API."""


def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "search" / "search_index.json").exists()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_fences_are_closed_and_titles_are_known(page):
    found = list(blocks(page))
    fences = re.findall(r"^ *```", page.read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(found), "a fence that is not understood"
    for block in found:
        assert block.title is None or block.title in TITLES, block.place
        assert block.title is None or block.language == "bash", block.place
        assert block.language not in {"console", "sh", "shell"}, (
            f"{block.place}: commands are bash, output is text"
        )


@pytest.mark.parametrize(
    "page", GUIDES, ids=[str(page.relative_to(DOCS)) for page in GUIDES]
)
def test_a_guide_has_commands_that_are_run_or_says_why_not(page):
    written = commands(page)
    if re.search(r"\b(kubectl|helm|aws) [a-z]", page.read_text()):
        assert written, "commands stand outside of bash blocks only"
    for block in runnable(page):
        assert "helm upgrade" not in block.text or "--dry-run" in block.text, (
            f"{block.place} changes the demo that other tests use"
        )


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_parse(page):
    for block in commands(page):
        parsed = subprocess.run(
            ["bash", "-n"],
            input=block.text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert parsed.returncode == 0, f"{block.place}: {parsed.stderr}"
        assert not re.search(r"<[a-z][a-z -]+>", block.text), (
            f"{block.place}: write a variable in place of <…>"
        )


@functools.cache
def api(service):
    return Session().get_service_model(service)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_aws_commands_exist(page):
    for block in commands(page):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            for found in _AWS.finditer(line):
                service, operation = found["service"], found["operation"]
                if (service, operation) in _HIGH_LEVEL:
                    continue
                model = api({"s3api": "s3"}.get(service, service))
                by_name = {
                    xform_name(name, "-"): name for name in model.operation_names
                }
                assert operation in by_name, f"{block.place}: {found[0]}"
                shape = model.operation_model(by_name[operation]).input_shape
                known = {xform_name(name, "-") for name in shape.members if shape}
                words = line[found.end() :].partition("|")[0].partition(")")[0]
                given = set(re.findall(r"(?<=\s)--([a-z][a-z0-9-]+)", words))
                negated = {f"no-{name}" for name in known}  # of booleans
                extra = given - known - negated - {"query", "output", "region"}
                assert not extra, f"{block.place}: {found[0]} has no {sorted(extra)}"


def headings(page):
    """Anchors of a page, as the site makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in found}


def test_every_reason_of_a_condition_has_an_entry():
    anchors = headings(DOCS / "troubleshooting.md")
    assert {r for r in Reason if r.lower() not in anchors} == set()


def test_every_alert_has_an_entry():
    anchors = headings(DOCS / "troubleshooting.md")
    rules = ROOT / "charts/isocenter/templates/monitoring"
    alerts = {
        name
        for path in rules.iterdir()
        for name in re.findall(r"^ *- alert: (\w+)", path.read_text(), re.MULTILINE)
    }
    assert alerts
    assert {a for a in alerts if f"alert-{a.lower()}" not in anchors} == set()


def test_the_readme_names_files_that_exist():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target
