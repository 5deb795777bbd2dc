"""``python -m isocenter.operator.selftest``: waits for what ``helm test`` sent.

A study was sent to the Store SCP; this waits until HealthImaging has its image set,
until the DICOMImportJob that made it says so, and until the runs that triggers start
for it have succeeded. It runs as intake and reads only.

Exit code 0: all of it happened; 1: not; 2: wrong arguments.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.exit_codes import SelfTestExit
from isocenter.core.healthimaging.answers import FoundImageSet
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.cluster import Cluster
from isocenter.operator.intake.reducer import run_name, skip_early, watching
from isocenter.operator.resources import (
    PLURALS,
    DICOMImportJob,
    TrainingRun,
    TrainingTrigger,
)

_POLL_S = 2.0


class SelfTestFailedError(IsocenterError):
    """Something did not happen, or not in time; the text says what to look at."""


@dataclass(frozen=True)
class Sent:
    """What the Store SCP acknowledged."""

    study_instance_uid: str
    instances: int


@dataclass(frozen=True)
class Progress:
    """How far a wait has come: what there is so far, and whether that is all."""

    text: str
    done: bool = False


def import_progress(
    jobs: Iterable[DICOMImportJob], image_sets: Iterable[FoundImageSet]
) -> Progress:
    """Whether the import that made an image set has been recorded as complete.

    Raises:
        SelfTestFailedError: it left files out.
    """
    ids = {found.image_set_id for found in image_sets}
    if not ids:
        newest = max(jobs, key=_made, default=None)
        seen = (
            f"the newest DICOMImportJob is {newest.metadata.name},"
            f" {newest.status.phase or 'Pending'}: {newest.status.message or '-'}"
            if newest
            else "there is no DICOMImportJob"
        )
        return Progress(f"no image set of the study yet; {seen}")
    for job in jobs:
        if job.status.phase == "Completed" and ids & {
            made.id for made in job.status.image_sets
        }:
            if job.status.failed:
                raise SelfTestFailedError(
                    f"DICOMImportJob {job.metadata.name}: {job.status.message}"
                )
            return Progress(
                f"DICOMImportJob {job.metadata.name}: {job.status.message};"
                f" image set {', '.join(sorted(ids))}",
                done=True,
            )
    return Progress(
        f"image set {', '.join(sorted(ids))} is there, and no DICOMImportJob says so"
    )


def expected_runs(
    triggers: Iterable[TrainingTrigger],
    datastore_id: str,
    image_sets: Iterable[FoundImageSet],
) -> list[str]:
    """Names of the TrainingRuns that new image sets start, suspended ones left out."""
    return [
        run_name(trigger.metadata.name, found.image_set_id, found.version_id)
        for trigger in watching(triggers, datastore_id)
        for found in image_sets
        if skip_early(trigger, "Created", found.is_primary) is None
        and not trigger.spec.template.suspend
    ]


def run_progress(names: Sequence[str], runs: Iterable[TrainingRun]) -> Progress:
    """Whether the expected runs have all succeeded.

    Raises:
        SelfTestFailedError: one has ended otherwise.
    """
    by_name = {run.metadata.name: run for run in runs}
    texts, done = [], True
    for name in names:
        run = by_name.get(name)
        phase = (run.status.phase if run else None) or "Pending"
        texts.append(f"TrainingRun {name}: {phase if run else 'not made yet'}")
        if run and phase in {"Failed", "Stopped"}:
            raise SelfTestFailedError(f"{texts[-1]}: {run.status.message}")
        done = done and phase == "Succeeded"
    return Progress("; ".join(texts), done)


def _made(job: DICOMImportJob) -> str:
    return str(job.metadata.creation_timestamp or "")


def wait(
    look: Callable[[], Progress],
    limit_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look until all is there, and say each change.

    Raises:
        SelfTestFailedError: it was not within ``limit_s`` seconds.
    """
    deadline = clock() + limit_s
    said = ""
    while True:
        try:
            progress = look()
        except IsocenterError as error:
            if not error.retryable:
                raise
            progress = Progress(str(error))
        if progress.text != said:
            say(progress.text)
            said = progress.text
        if progress.done:
            return
        if clock() >= deadline:
            raise SelfTestFailedError(f"not within {limit_s:.0f} s: {progress.text}")
        sleep(_POLL_S)


def say(text: str) -> None:
    """A line of the test's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class SelfTest:
    """The waits of one test.

    Args:
        cluster: of the release's namespace.
        healthimaging: asked for the study.
        datastore_id: that it goes to.
        sent: the study.
    """

    def __init__(
        self,
        cluster: Cluster,
        healthimaging: HealthImaging,
        datastore_id: str,
        sent: Sent,
    ) -> None:
        self._cluster = cluster
        self._healthimaging = healthimaging
        self._datastore_id = datastore_id
        self._sent = sent
        self._image_sets: list[FoundImageSet] = []

    def imported(self) -> Progress:
        """One look at the import."""
        self._image_sets = list(
            self._healthimaging.of_study(
                self._datastore_id, self._sent.study_instance_uid
            )
        )
        jobs = self._cluster.resources(PLURALS["DICOMImportJob"])
        return import_progress(
            [DICOMImportJob.model_validate(body) for body in jobs], self._image_sets
        )

    def expected(self) -> list[str]:
        """The runs to wait for, once the import is complete."""
        triggers = self._cluster.resources(PLURALS["TrainingTrigger"])
        return expected_runs(
            [TrainingTrigger.model_validate(body) for body in triggers],
            self._datastore_id,
            self._image_sets,
        )

    def trained(self, names: Sequence[str]) -> Progress:
        """One look at the runs."""
        runs = self._cluster.resources(PLURALS["TrainingRun"])
        return run_progress(names, [TrainingRun.model_validate(body) for body in runs])


def read_sent(path: Path) -> tuple[Sent, list[str]]:
    """The sender's document, and what it said.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sent = Sent(str(document["studyInstanceUid"]), int(document["instances"]))
        return sent, [str(line) for line in document["said"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} does not say what was sent") from error


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="isocenter-operator-selftest")
    parser.add_argument("--sent", type=Path, required=True, help="the sender's output")
    parser.add_argument("--namespace", required=True, help="of the release")
    parser.add_argument("--datastore-id", required=True, help="that the study goes to")
    parser.add_argument(
        "--import-timeout", type=float, default=600, help="seconds for the import"
    )
    parser.add_argument(
        "--run-timeout", type=float, default=3600, help="seconds for the runs; 0: none"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Wait; the last line of the output is the reason when it fails."""
    args = _arguments(argv)
    try:
        sent, said = read_sent(args.sent)
        for line in said:
            say(line)
        test = SelfTest(
            Cluster.connect(args.namespace),
            HealthImaging.connect(),
            args.datastore_id,
            sent,
        )
        wait(test.imported, args.import_timeout)
        names = test.expected()
        if not names:
            say("no TrainingTrigger starts a run for it")
        elif not args.run_timeout:
            say(f"not waited for: TrainingRun {', '.join(names)}")
        else:
            wait(lambda: test.trained(names), args.run_timeout)
    except ConfigurationError as error:
        say(str(error))
        return SelfTestExit.CONFIGURATION
    except (IsocenterError, ValidationError) as error:
        say(str(error))
        return SelfTestExit.FAILED
    say("it stays: the objects in S3, the image set, the import's and runs' resources")
    return SelfTestExit.PASSED


if __name__ == "__main__":
    sys.exit(main())
