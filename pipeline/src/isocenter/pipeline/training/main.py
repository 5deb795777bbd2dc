"""isocenter-train: the training step's process.

Exit codes: ``isocenter.pipeline.exit_codes``.
"""

import argparse
import logging
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from isocenter.core import log as json_log
from isocenter.core.errors import IsocenterError
from isocenter.pipeline.exit_codes import TrainExit
from isocenter.pipeline.training import artifact, hyperparameters, volumes
from isocenter.pipeline.training.errors import StoppedError
from isocenter.pipeline.training.fit import fit
from isocenter.pipeline.training.partition import divide

log = logging.getLogger(__name__)

_REASON_LENGTH = 1024
"""What SageMaker shows of output/failure (FailureReason)."""


def train(root: Path, stop: threading.Event) -> bool:
    """Train on ``root``/input/data/dataset, write ``root``/model.

    Returns:
        Whether all steps were done; False if ``stop`` was set on the way.

    Raises:
        IsocenterError: input is not usable, or the loss diverged.
    """
    hyper = hyperparameters.read(root / "input/config/hyperparameters.json")
    dataset = volumes.load(root / "input/data/dataset", stop)
    partition = divide(dataset.volumes)
    log.info(
        "arrays: %d; slices to train on: %d, to validate on: %d (%s)",
        len(dataset.volumes),
        len(partition.train),
        len(partition.validation),
        partition.validation_source,
        extra={"datastore_id": dataset.manifest.datastore_id},
    )
    fitted = fit(partition, hyper, stop)
    folder = root / "model"
    folder.mkdir(parents=True, exist_ok=True)
    description = artifact.describe(fitted, partition, dataset, hyper)
    artifact.write(folder, fitted.parameters, description)
    return bool(description["completed"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training step; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="isocenter-train", description="Train a denoiser on a fetched dataset."
    )
    parser.add_argument(
        "command", nargs="?", choices=["train"], help="what SageMaker calls images with"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("/opt/ml"), help="default: %(default)s"
    )
    root = parser.parse_args(argv).root
    json_log.configure("isocenter-train")
    allow_many_files()
    stop = threading.Event()
    # SageMaker stops a job by SIGTERM and kills it 120 seconds later.
    previous = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        if train(root, stop):
            return TrainExit.COMPLETE
        log.warning("stopped by SIGTERM; the model of the steps done is kept")
        return TrainExit.TERMINATED
    except StoppedError as error:
        _explain(root, str(error))
        return TrainExit.TERMINATED
    except IsocenterError as error:
        _explain(root, f"{type(error).__name__}: {error}")
        return TrainExit.FAILED
    except Exception as error:
        log.exception("training failed")
        _explain(root, f"unexpected {type(error).__name__}: {error}")
        return TrainExit.FAILED
    finally:
        signal.signal(signal.SIGTERM, previous)


def allow_many_files() -> None:
    """Let the process have as many files open as it may: each array takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _explain(root: Path, reason: str) -> None:
    """Log why, and leave it where SageMaker looks for it."""
    log.error("no model was made: %s", reason)
    try:
        folder = root / "output"
        folder.mkdir(parents=True, exist_ok=True)
        text = reason.encode()[:_REASON_LENGTH].decode(errors="ignore")
        (folder / "failure").write_text(text, encoding="utf-8")
    except OSError as error:
        log.warning("could not write output/failure: %s", error)


if __name__ == "__main__":
    sys.exit(main())
