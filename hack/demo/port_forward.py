"""A local port that leads to a Service, for as long as it is needed."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from demo.shell import DemoError

_LISTENING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def port_forward(
    namespace: str, service: str, port: int, *, local: int = 0
) -> Iterator[int]:
    """Forward a port of a Service by kubectl; gives the local port.

    Args:
        namespace: of the Service.
        service: its name.
        port: the Service's port.
        local: the local port, 0 for any free one.
    """
    process = subprocess.Popen(
        [
            *("kubectl", "-n", namespace, "port-forward"),
            *(f"service/{service}", f"{local or ''}:{port}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        match = _LISTENING.search(line)
        if match is None:
            raise DemoError(f"no way to {service} in {namespace}: {line.strip()}")
        yield int(match.group(1))
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout:
            process.stdout.close()
