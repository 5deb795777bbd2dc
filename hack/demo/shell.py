"""Programs the demo runs, and what it prints while they do."""

import json
import subprocess
import sys
import time
from typing import Any

_STARTED = time.monotonic()
_HEARTBEAT_S = 10


class DemoError(Exception):
    """The demo can't go on; the text says what is wrong and what to do."""


def say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    sys.stdout.write(f"[{time.monotonic() - _STARTED:5.0f} s] {text}\n")
    sys.stdout.flush()


def run(*command: str, text: str | None = None) -> str:
    """Run a program to its end and answer its output; say so when it takes long.

    Raises:
        DemoError: it is missing, or ended with an error; its words are in the text.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as error:
        raise DemoError(f"{command[0]} is not installed") from error
    while True:
        try:
            output, errors = process.communicate(text, timeout=_HEARTBEAT_S)
            break
        except subprocess.TimeoutExpired:
            say(f"{' '.join(command[:3])} … is still running")
    if process.returncode:
        raise DemoError(
            f"{' '.join(command[:4])} … ended with {process.returncode}:\n"
            f"{(errors or output).strip()[-2000:]}"
        )
    return output


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
