"""Debian's Orthanc as a process, by its REST."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ports import free_port

_PROGRAM = Path("/usr/sbin/Orthanc")
_TIMEOUT_S = 60


@contextmanager
def serving(folder, **options):
    """The URL of an Orthanc that ends with the block.

    Args:
        folder: for what it stores and its log; must not be there.
        options: of its configuration, besides folders and its HTTP port.
    """
    if not _PROGRAM.exists():
        pytest.fail(f"{_PROGRAM} is not there: run `make packages` (orthanc)")
    folder.mkdir()
    http = free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http,
        "AuthenticationEnabled": False,
        "Plugins": [],
        **options,
    }
    (folder / "storage").mkdir()
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [_PROGRAM, folder / "orthanc.json"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{http}"
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                rest(f"{url}/system")
                break
            except OSError:
                words = (folder / "orthanc.log").read_text(errors="replace")
                assert process.poll() is None, words
                assert time.monotonic() < deadline, "Orthanc does not answer"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)


def rest(url, body=None):
    """GET, or POST if there is a body; what JSON was answered."""
    request = urllib.request.Request(url, data=body)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read().decode()) from None
