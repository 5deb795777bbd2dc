"""`python -m bench.storescp`: all figures in one run, held against their bars."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.proxy.bars import Bar, print_bars
from bench.proxy.processes import BenchError
from bench.storescp import latency, parallel, upload
from bench.storescp.contestants import Place

SCENARIOS: dict[str, Callable[[Place], list[Bar]]] = {
    "parallel": parallel.run,
    "upload": upload.run,
    "latency": latency.run,
}


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.storescp")
    parser.add_argument(
        "--only",
        action="append",
        choices=SCENARIOS,
        help="this scenario alone; may be given several times",
    )
    parser.add_argument("--short", action="store_true", help="a first look")
    parser.add_argument("--json", type=Path, help="write the bars to this file")
    parser.add_argument(
        "--folder", type=Path, help="work below this folder: the disk to measure on"
    )
    return parser.parse_args()


def main() -> int:
    """0 if all that was measured holds; 1 if a bar doesn't, or a scenario failed."""
    asked = arguments()
    began = time.monotonic()
    bars: list[Bar] = []
    complete = True
    with tempfile.TemporaryDirectory(
        prefix="isocenter-bench-", dir=asked.folder, ignore_cleanup_errors=True
    ) as temporary:
        for name in asked.only or SCENARIOS:
            at = Place(Path(temporary) / name, asked.short)
            try:
                bars += SCENARIOS[name](at)
            except BenchError as error:
                complete = False
                print(f"{name}: {error}", file=sys.stderr)
            print(flush=True)
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
