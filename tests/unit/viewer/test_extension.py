"""The extension's own tests, by Node's test runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Reduce
from isocenter.tlm_proxy.http.conditions import entity_tag

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_the_extension(tests):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: make packages")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", tests],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


def test_the_proxys_tags_are_those_that_frames_are_continued_by():
    # The same two are in continued_frames.test.mjs.
    key = FrameKey("us-east-1", "e" * 32, "set1", "frame1")
    assert entity_tag(key, Reduce(2), enveloped=True) == b'"set1.frame1.r2.m"'
    assert entity_tag(key, None, enveloped=True) == b'"set1.frame1.m"'
