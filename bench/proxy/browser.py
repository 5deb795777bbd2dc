"""The figure that the browser tests measure, printed with the rest."""

import json
from pathlib import Path

from bench.proxy.bars import Bar
from bench.proxy.contestants import Place

_FIGURE = Path(__file__).parents[2] / "build/browser/first-picture.json"
_FIRST_S = 1.0


def run(at: Place) -> list[Bar]:  # noqa: ARG001 - as the other scenarios
    """Read what ``make browser`` left, if it did.

    ``first-picture.json`` has ``first_s`` and ``full_s``, the seconds from opening a
    1024 x 1024 MR image on a link of 60 KB/s to the first and to the full picture,
    and ``full_without_levels_s``, the same where levels are not asked for.
    """
    figures: dict[str, float] = {}
    note = "make browser leaves it"
    if _FIGURE.exists():
        figures = json.loads(_FIGURE.read_text())
        note = "as make browser measured it"
        print(f"browser, on a link of 60 KB/s: {json.dumps(figures)}")
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
            1.0,
            "",
            note,
        ),
    ]
