"""`python -m bench.inner_loop`: seconds from a saved source to its new pod."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from demo.shell import DemoError, say

from bench.inner_loop.loop import Loop, LoopError
from bench.inner_loop.services import SERVICES
from bench.inner_loop.workplace import workplace


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.inner_loop")
    parser.add_argument(
        "--only",
        action="append",
        choices=SERVICES,
        help="this service alone; may be given several times",
    )
    parser.add_argument("--rounds", type=int, default=3, help="changes to each")
    parser.add_argument(
        "--bar", type=float, default=15, help="seconds that a median must be below"
    )
    parser.add_argument("--json", type=Path, help="write the seconds to this file")
    parser.add_argument("--log", type=Path, help="keep skaffold's output in this file")
    return parser.parse_args()


def main() -> int:
    """0 if each service's median is below the bar, 1 otherwise."""
    asked = arguments()
    registry = os.environ.get("REGISTRY", "localhost:5000")  # noqa: TID251 - a script, not a process of the product
    figures: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = asked.log or Path(folder) / "skaffold.log"
        try:
            say("deploying a release of its own")
            with (
                workplace(Path(folder)) as at,
                Loop.running(at, registry=registry, log=log) as loop,
            ):
                for _ in range(asked.rounds):
                    for name in asked.only or SERVICES:
                        figures.setdefault(name, []).append(loop.change(name))
                        say(f"{name}: {_told(figures[name][-1])}")
        except (DemoError, LoopError, TimeoutError) as error:
            print(error, file=sys.stderr)
            return 1
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(figures, indent=1))
    return _table(figures, asked.bar)


def _told(steps: dict[str, float]) -> str:
    return ", ".join(f"{step} {at:.1f}" for step, at in steps.items())


def _table(figures: dict[str, list[dict[str, float]]], bar: float) -> int:
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"\nseconds from a saved source to the pod that serves it (load {load})")
    print(f"{'service':12} {'median':>7} {'least':>7} {'most':>7}")
    missed = 0
    for name, rounds in figures.items():
        serving = sorted(steps["serving"] for steps in rounds)
        median = serving[len(serving) // 2]
        held = median < bar
        missed += not held
        note = "" if held else f"  not below {bar:.0f}"
        print(f"{name:12} {median:7.1f} {serving[0]:7.1f} {serving[-1]:7.1f}{note}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
