"""The extension's own tests, by Node's test runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("extension.test.mjs")


def test_the_extension():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: make packages")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", TESTS],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout
