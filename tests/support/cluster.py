"""kubectl on the cluster that tests may use, and on no other."""

import json
import subprocess
from typing import Any

LOCAL_CONTEXT = "isocenter-local"


def require_test_cluster(allowed: str | None) -> None:
    """Refuse any context but the local cluster's or the one that is named.

    Args:
        allowed: context named by ISOCENTER_TEST_CONTEXT, or None.
    """
    context = run("config", "current-context").stdout.strip()
    if context not in {LOCAL_CONTEXT, allowed}:
        raise RuntimeError(
            f"tests do not touch the cluster of context {context!r}: run"
            " `make cluster-up`, or name it in ISOCENTER_TEST_CONTEXT"
        )


def run(
    *arguments: str, stdin: Any = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run kubectl; ``stdin`` is an object or a text."""
    text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done
