"""A volume of a few megabytes that can really be full."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_volume(folder, size):
    """Mount a tmpfs of ``size`` bytes on a new folder; needs the right to mount."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a volume: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
