"""How much is run, where a long run goes on, and what it says.

Without ``SOAK`` the short version runs, always the same. ``SOAK=100`` is the long one;
other numbers are per cent of it. With ``SOAK_STATE=<folder>`` a mutation run notes
there how far it is, goes on there when it is started again, and takes the next seed
once it has come to its end.
"""

import json
import os
from pathlib import Path

LONG = "SOAK" in os.environ


def amount(short, long):
    """``short``, or the long run's share of ``long``."""
    return max(1, long * int(os.environ["SOAK"]) // 100) if LONG else short


def tell(text):
    """Shown by ``pytest -s``, as ``make soak-storescp`` runs it."""
    print(f"\n{text}", flush=True)  # noqa: T201 - see above


class Numbers:
    """The numbers of a run, in pieces; iterating notes each piece that is done.

    Args:
        name: of the run; ``MUTATION=<name>:<seed>:<number>`` runs that number alone.
        total: how many there are.
        piece: how many are taken at once.
    """

    def __init__(self, name, total, piece):
        self.name, self.total, self._piece = name, total, piece
        self.seed, self.at = 0, 0
        folder = os.environ.get("SOAK_STATE")
        self._state = Path(folder) / f"{name}.json" if folder and LONG else None
        alone = os.environ.get("MUTATION", "").split(":")
        self._alone = len(alone) == 3 and alone[0] == name
        if self._alone:
            self.seed, self.at = int(alone[1]), int(alone[2])
            self.total = self.at + 1
        elif self._state is not None and self._state.exists():
            found = json.loads(self._state.read_text())
            self.seed, self.at = found["seed"], found["at"]
        if not self._alone and self.at >= self.total:
            self.seed, self.at = self.seed + 1, 0
        self.first = self.at

    def __iter__(self):
        while self.at < self.total:
            piece = range(self.at, min(self.total, self.at + self._piece))
            yield piece
            self.at = piece.stop
            if self._state is not None and not self._alone:
                self._state.parent.mkdir(parents=True, exist_ok=True)
                fresh = self._state.with_suffix(".new")
                fresh.write_text(json.dumps({"seed": self.seed, "at": self.at}))
                fresh.replace(self._state)

    def whole(self):
        """Whether this run alone went through all numbers."""
        return not self._alone and self.first == 0

    def again(self, number):
        """How to run one number again."""
        return f"MUTATION={self.name}:{self.seed}:{number}"
