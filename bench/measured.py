"""What the benchmarks' command lines share: scenarios in turn, then their bars."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from bench.proxy.bars import Bar, print_bars
from bench.proxy.processes import BenchError


def parser(
    program: str, scenarios: Collection[str], *, short: str
) -> argparse.ArgumentParser:
    """The options of every benchmark.

    Args:
        program: what is run, such as ``bench.proxy``.
        scenarios: names for ``--only``.
        short: help for ``--short``.
    """
    made = argparse.ArgumentParser(prog=f"python -m {program}")
    made.add_argument(
        "--only",
        action="append",
        choices=scenarios,
        help="this scenario alone; may be given several times",
    )
    made.add_argument("--short", action="store_true", help=short)
    made.add_argument("--json", type=Path, help="write the bars to this file")
    return made


class Measured:
    """The bars of a run, which begins now.

    Attributes:
        bars: of the scenarios so far.
        complete: whether all could be measured.
    """

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.complete = True
        self._began = time.monotonic()

    def add(self, name: str, scenario: Callable[[], list[Bar]]) -> None:
        """Run a scenario; one that can't be measured doesn't stop the others."""
        try:
            self.bars += scenario()
        except BenchError as error:
            self.complete = False
            print(f"{name}: {error}", file=sys.stderr)
        print(flush=True)

    def tell(self, file: Path | None) -> int:
        """Print the bars, and write them to a file if there is one.

        Returns:
            0 if all that was measured holds; 1 if a bar doesn't, or a scenario failed.
        """
        print_bars(self.bars)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(
            f"\n{time.monotonic() - self._began:.0f} s; {os.cpu_count()} CPUs, "
            f"load {load} at the end"
        )
        if file:
            records = [bar.record() for bar in self.bars]
            file.write_text(json.dumps({"bars": records}, indent=2) + "\n")
        held = all(bar.held is not False for bar in self.bars)
        return 0 if self.complete and held else 1
