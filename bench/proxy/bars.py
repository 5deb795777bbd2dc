"""Bars, whether they hold, and how figures are put side by side."""

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_HOLDS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Bar:
    """What must hold of a figure.

    Attributes:
        name: what it is.
        figure: as measured; None if it was not, and ``note`` says why.
        relation: <=, <, >= or ==.
        bound: what the figure is held against.
        unit: of both.
        note: what else there is to say.
    """

    name: str
    figure: float | None
    relation: str
    bound: float
    unit: str = ""
    note: str = ""

    @property
    def held(self) -> bool | None:
        """Whether it holds; None if it was not measured."""
        if self.figure is None:
            return None
        return bool(_HOLDS[self.relation](self.figure, self.bound))

    @property
    def verdict(self) -> str:
        """The same in words."""
        return {True: "held", False: "NOT HELD", None: "not measured"}[self.held]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "held": self.held}


def print_bars(bars: Sequence[Bar]) -> None:
    """The table at the end."""
    rows = [
        (
            bar.name,
            "-" if bar.figure is None else f"{bar.figure:.4g}",
            f"{bar.relation} {bar.bound:g} {bar.unit}".rstrip(),
            bar.verdict,
            bar.note,
        )
        for bar in bars
    ]
    print_table(("bar", "measured", "bound", "", ""), rows)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need be; the first one to the left."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = [
            f"{text:<{width}}" if number in {0, len(row) - 1} else f"{text:>{width}}"
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
