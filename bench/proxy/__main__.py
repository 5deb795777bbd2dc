"""`python -m bench.proxy`: all figures in one run, held against their bars."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measured import Measured, parser
from bench.proxy import browser, cold, flight, memory, token_soak, warm
from bench.proxy.bars import Bar
from bench.proxy.contestants import Place, place

SCENARIOS: dict[str, Callable[[Place], list[Bar]]] = {
    "warm": warm.run,
    "cold": cold.run,
    "flight": flight.run,
    "memory": memory.run,
    "tokens": token_soak.run,
    "browser": browser.run,
}


def arguments() -> argparse.Namespace:
    """What the command line says."""
    options = parser("bench.proxy", SCENARIOS, short="two minutes, not fifteen")
    options.add_argument(
        "--logs", type=Path, help="keep the servers' logs in this folder"
    )
    return options.parse_args()


def measure(asked: argparse.Namespace, folder: Path, measured: Measured) -> None:
    """Run the scenarios."""
    named = os.environ.get("PEER_TLM_PROXY")  # noqa: TID251 - a script, not a process of the product
    with place(folder, Path(named) if named else None, short=asked.short) as at:
        for name in asked.only or SCENARIOS:
            measured.add(name, partial(SCENARIOS[name], at))


def main() -> int:
    """0 if all that was measured holds; 1 if a bar doesn't, or a scenario failed."""
    asked = arguments()
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as temporary:
        folder = asked.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure(asked, folder.resolve(), measured)
    return measured.tell(asked.json)


if __name__ == "__main__":
    sys.exit(main())
