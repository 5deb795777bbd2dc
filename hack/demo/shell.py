"""Programs the demo runs, and what it prints while they do."""

import json
import subprocess
import sys
import time
from typing import Any

_STARTED = time.monotonic()


class DemoError(Exception):
    """The demo can't go on; the text says what is wrong and what to do."""


def say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    sys.stdout.write(f"[{time.monotonic() - _STARTED:5.0f} s] {text}\n")
    sys.stdout.flush()


def run(*command: str, text: str | None = None) -> str:
    """Run a program to its end and answer its output.

    Raises:
        DemoError: it is missing, or ended with an error; its words are in the text.
    """
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise DemoError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise DemoError(
            f"{' '.join(command[:4])} … ended with {done.returncode}:\n"
            f"{(done.stderr or done.stdout).strip()[-2000:]}"
        )
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl against the cluster in use."""
    return run("kubectl", *arguments, text=text)


def get(namespace: str, kind: str) -> list[dict[str, Any]]:
    """All resources of a kind in a namespace."""
    answer = json.loads(kubectl("-n", namespace, "get", kind, "-o", "json"))
    items: list[dict[str, Any]] = answer["items"]
    return items


def apply(manifest: dict[str, Any]) -> None:
    """Create or change a resource."""
    kubectl("apply", "-f", "-", text=json.dumps(manifest))
