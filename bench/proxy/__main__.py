"""`python -m bench.proxy`: all figures in one run, held against their bars."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.proxy import browser, cold, flight, memory, token_soak, warm
from bench.proxy.bars import Bar, print_bars
from bench.proxy.contestants import Place, place
from bench.proxy.processes import BenchError

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
    parser = argparse.ArgumentParser(prog="python -m bench.proxy")
    parser.add_argument(
        "--only",
        action="append",
        choices=SCENARIOS,
        help="this scenario alone; may be given several times",
    )
    parser.add_argument("--short", action="store_true", help="two minutes, not fifteen")
    parser.add_argument("--json", type=Path, help="write the bars to this file")
    parser.add_argument(
        "--logs", type=Path, help="keep the servers' logs in this folder"
    )
    return parser.parse_args()


def measure(asked: argparse.Namespace, folder: Path) -> tuple[list[Bar], bool]:
    """The bars of all scenarios, and whether all could be measured."""
    named = os.environ.get("PEER_TLM_PROXY")  # noqa: TID251 - a script, not a process of the product
    bars: list[Bar] = []
    complete = True
    with place(folder, Path(named) if named else None, short=asked.short) as at:
        for name in asked.only or SCENARIOS:
            try:
                bars += SCENARIOS[name](at)
            except BenchError as error:
                complete = False
                print(f"{name}: {error}", file=sys.stderr)
            print(flush=True)
    return bars, complete


def main() -> int:
    """0 if all that was measured holds; 1 if a bar doesn't, or a scenario failed."""
    asked = arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as temporary:
        folder = asked.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bars, complete = measure(asked, folder.resolve())
    print_bars(bars)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"\n{time.monotonic() - began:.0f} s; {os.cpu_count()} CPUs, "
        f"load {load} at the end"
    )
    if asked.json:
        asked.json.write_text(
            json.dumps({"bars": [bar.record() for bar in bars]}, indent=2) + "\n"
        )
    return 0 if complete and all(bar.held is not False for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
