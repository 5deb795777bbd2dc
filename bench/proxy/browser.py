"""How soon OHIF shows a picture on a slow link, by a browser test that measures."""

import json
import subprocess
import sys
from pathlib import Path

from bench.proxy.bars import Bar
from bench.proxy.contestants import Place

_ROOT = Path(__file__).parents[2]
_FIGURE = _ROOT / "build/browser/first-picture.json"
_TEST = "tests/browser/test_first_picture.py"
_FIRST_S = 1.0
_NOISE = 1.02
"""Visits of the same viewer differ by this much."""


def run(at: Place) -> list[Bar]:  # noqa: ARG001 - as the other scenarios
    """Run the test, and read what it left.

    ``first-picture.json`` has ``first_s`` and ``full_s``, the seconds from the first
    request for a 1024 x 1024 MR image on a link of 60 KB/s to the first and to the
    full picture, and ``full_without_levels_s``, the same with OHIF's own retrieval.
    """
    figures: dict[str, float] = {}
    _FIGURE.unlink(missing_ok=True)
    done = subprocess.run(
        ["env", "MEASURE=1", sys.executable, "-m", "pytest", "-q", _TEST],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    note = "" if done.returncode == 0 else f"{_TEST} failed"
    if done.returncode == 0 and _FIGURE.exists():
        figures = json.loads(_FIGURE.read_text())
        print(f"browser, on a link of 60 KB/s: {json.dumps(figures)}")
    else:
        print(done.stdout[-3000:])
    without = figures.get("full_without_levels_s")
    return [
        Bar(
            "browser, first picture at 60 KB/s",
            figures.get("first_s"),
            "<",
            _FIRST_S,
            "s",
            note,
        ),
        Bar(
            "browser, full picture, of without levels",
            figures["full_s"] / without if without else None,
            "<=",
            _NOISE,
            "",
            note,
        ),
    ]
