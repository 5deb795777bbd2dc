"""`python -m bench.storescp`: all figures in one run, held against their bars."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measured import Measured, parser
from bench.proxy.bars import Bar
from bench.storescp import latency, parallel, upload
from bench.storescp.contestants import Place

SCENARIOS: dict[str, Callable[[Place], list[Bar]]] = {
    "parallel": parallel.run,
    "upload": upload.run,
    "latency": latency.run,
}


def arguments() -> argparse.Namespace:
    """What the command line says."""
    options = parser("bench.storescp", SCENARIOS, short="a first look")
    options.add_argument(
        "--folder", type=Path, help="work below this folder: the disk to measure on"
    )
    return options.parse_args()


def main() -> int:
    """0 if all that was measured holds; 1 if a bar doesn't, or a scenario failed."""
    asked = arguments()
    measured = Measured()
    with tempfile.TemporaryDirectory(
        prefix="isocenter-bench-", dir=asked.folder, ignore_cleanup_errors=True
    ) as temporary:
        for name in asked.only or SCENARIOS:
            at = Place(Path(temporary) / name, asked.short)
            measured.add(name, partial(SCENARIOS[name], at))
    return measured.tell(asked.json)


if __name__ == "__main__":
    sys.exit(main())
