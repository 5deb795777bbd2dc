"""The commands of the documentation, run as they are printed, after `make demo`."""

import functools
import os
import re
import subprocess

import pytest
from pages.blocks import DOCS, ROOT, commands, pages, runnable

PAGES = [page for page in pages() if runnable(page)]
_LIMIT_S = 280
"""For a page; the longest, the tutorial, waits for a run: about a minute when idle."""


def test_there_are_commands_to_run():
    assert DOCS / "tutorial.md" in PAGES
    assert len(PAGES) > 5


def _refusals(text):
    """`! command` must fail: bash itself goes on whatever comes of it."""
    return re.sub(
        r"^! ((?:.*\\\n)*.*)$",
        r"if \1; then echo 'this was to be refused' >&2; exit 1; fi",
        text,
        flags=re.MULTILINE,
    )


@pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)
def test_commands_work_as_printed(page, kubectl, tmp_path):
    kubectl("get", "namespace")
    run = runnable(page)
    # What runs in the background ends with the page, whatever fails.
    script = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT"]
    for block in run:
        script += [f"echo '::: {block.place}' >&2", _refusals(block.text)]
    # What a reader's shell has: nothing of the test's own paths and settings.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in {"HOME", "LANG", "CLUSTER", "ISOCENTER_CACHE", "XDG_CACHE_HOME"}
        or (name == "KUBECONFIG" and os.environ.get("CLUSTER") == "current")
    }
    environment |= {"PATH": os.defpath + ":/usr/sbin", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, (
        f"{page.name}, after the last ':::':\n"
        f"{done.stderr[-3000:]}\n{done.stdout[-1500:]}"
    )
    assert done.stderr.count(":::") == len(run)
    assert len(commands(page)) >= len(run)


_COMMAND = re.compile(r"(?:^|[|(;]) *(?P<program>helm|kubectl) (?P<rest>[^|;)]*)")
_VALUED = {"-n", "--namespace"}
"""Options that may stand before the subcommand, with a value each."""


def _not_run():
    """Program, words and place of each kubectl and helm command that isn't run."""
    for page in pages():
        for block in commands(page):
            if block.title is None:
                continue
            text = re.sub(
                r"<<EOF.*?^EOF$", "", block.text, flags=re.DOTALL | re.MULTILINE
            )
            for line in text.replace("\\\n", " ").splitlines():
                for found in _COMMAND.finditer(line):
                    yield found["program"], found["rest"].split(), block.place


def _subcommand(words):
    """The words of the subcommand: those before the first option or argument."""
    rest = list(words)
    while rest and rest[0] in _VALUED:
        rest = rest[2:]
    names = []
    for word in rest:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or len(names) == 3:
            break
        names.append(word)
    return names


@functools.cache
def _help(program, *words):
    """What a subcommand says of itself, its inherited options included."""
    told = subprocess.run(
        [program, *words, "--help"], capture_output=True, text=True, check=False
    ).stdout
    if program == "kubectl":
        told += subprocess.run(
            [program, "options"], capture_output=True, text=True, check=True
        ).stdout
    return told


def test_commands_that_are_not_run_have_options_that_exist():
    unknown = []
    seen = 0
    for program, words, place in _not_run():
        seen += 1
        told = _help(program, *_subcommand(words))
        if f"{program} " not in told:
            unknown.append(f"{place}: {program} {' '.join(words[:3])}")
        for word in words:
            option = word.partition("=")[0]
            if re.fullmatch(r"--[a-z][a-z-]+|-[a-z]", option) and not re.search(
                rf"(?<![\w-]){option}\b", told
            ):
                unknown.append(f"{place}: {program} has no {option}")
    assert seen > 10
    assert unknown == []
