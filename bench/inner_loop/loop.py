"""`skaffold dev` in a copy of the tree, and changes made to it."""

import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bench.inner_loop.pods import Seen, await_change, connect
from bench.inner_loop.services import SERVICES
from bench.inner_loop.workplace import Workplace

_FIRST_DEPLOY_S = 600.0
_STEPS = (
    ("build began", re.compile(r"^Generating tags")),
    ("deploy began", re.compile(r"^(Tags used in deployment|Starting deploy)")),
    ("deployed", re.compile(r"^Watching for changes")),
)


class LoopError(Exception):
    """`skaffold dev` ended, or did not get as far as it should."""


class Loop:
    """A running `skaffold dev`."""

    def __init__(
        self, process: subprocess.Popen[str], at: Workplace, log: Path
    ) -> None:
        self._process, self._at, self._log = process, at, log
        self._watching = threading.Event()
        self._seen: Seen | None = None
        self._api = connect()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    @contextmanager
    def running(cls, at: Workplace, *, registry: str, log: Path) -> Iterator[Self]:
        """Start it, as `make dev` does; ended with the block.

        Args:
            at: where it runs.
            registry: host and port that images are pushed to.
            log: file that gets its output.
        """
        settings = at.tree.parent / "skaffold.config"
        settings.write_text(
            "global:\n  collect-metrics: false\n  update-check: false\n"
        )
        process = subprocess.Popen(
            [
                *("hack/dev.sh", "--namespace", at.namespace),
                *("--config", str(settings), "--tail=false"),
            ],
            cwd=at.tree,
            env={**os.environ, "REGISTRY": registry},  # noqa: TID251 - a script, not a process of the product
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        loop = cls(process, at, log)
        try:
            loop.await_watching(_FIRST_DEPLOY_S)
            yield loop
        finally:
            _end(process)

    def await_watching(self, seconds: float) -> None:
        """Wait until it has deployed everything and waits for changes.

        Raises:
            LoopError: it ended, or not in time.
        """
        deadline = time.monotonic() + seconds
        while not self._watching.wait(0.2):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text()[-3000:]
                raise LoopError(f"`skaffold dev` does not watch for changes:\n{tail}")

    def change(self, name: str, *, seconds: float = 120) -> dict[str, float]:
        """Change a service's source and wait until its new pod serves it.

        Returns:
            Seconds from the file's saving to each step, in order; the one that counts
            is ``serving``.

        Raises:
            LoopError: it ended.
            TimeoutError: no pod serves the change in time.
        """
        service = SERVICES[name]
        mark = f"changed-{uuid.uuid4().hex}"
        source = self._at.tree / service.source
        text = source.read_text() + service.change.format(mark=mark)
        self._watching.clear()
        # One write, as an editor's: a half of it would be built too.
        new = source.with_name(f".{source.name}.new")
        new.write_text(text)
        self._seen = seen = Seen(time.monotonic())
        new.replace(source)
        await_change(
            self._api, self._at.namespace, service, mark, seen=seen, seconds=seconds
        )
        self.await_watching(seconds)
        return dict(sorted(seen.steps.items(), key=lambda step: step[1]))

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        with self._log.open("w") as log:
            for line in self._process.stdout:
                log.write(f"{time.strftime('%H:%M:%S')} {line}")
                log.flush()
                for step, words in _STEPS:
                    if words.match(line) and self._seen:
                        self._seen.note(step)
                if line.startswith("Watching for changes"):
                    self._watching.set()


def _end(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C does: the script and Skaffold are told."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
