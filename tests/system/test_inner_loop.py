"""`make dev`: what is saved is what new pods serve."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
def test_a_saved_source_is_served_by_a_new_pod(kubectl, tmp_path):
    kubectl("get", "namespace")  # refuses a cluster that is not for tests
    if not shutil.which("skaffold"):
        pytest.skip("no skaffold: hack/cluster/tools.sh skaffold builds it")
    figures = tmp_path / "figures.json"
    # A bar that only a hanging loop misses; its own release, beside the demo's.
    loop = [sys.executable, "-m", "bench.inner_loop", "--rounds", "1", "--bar", "600"]
    done = subprocess.run(
        [*loop, "--only", "viewer", "--only", "fetcher", "--json", figures],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "hack")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    seen = json.loads(figures.read_text())
    assert set(seen) == {"viewer", "fetcher"}
    for (steps,) in seen.values():
        assert next(iter(steps)) == "build began"
        assert steps["pod made"] < steps["serving"]
