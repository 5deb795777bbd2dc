"""Exit codes of ``isocenter-pipeline`` and of ``isocenter-train``."""

import signal
from enum import IntEnum


class CommandExit(IntEnum):
    """Of ``isocenter-pipeline``."""

    DONE = 0
    AWS = 1
    USAGE = 2


COMMAND_MEANING: dict[CommandExit, str] = {
    CommandExit.DONE: "The definition was printed, or the pipeline is as described.",
    CommandExit.AWS: "AWS refused or did not answer; stderr says which call.",
    CommandExit.USAGE: "An argument is missing or not usable; stderr names it.",
}


class TrainExit(IntEnum):
    """Of ``isocenter-train``, the training step."""

    COMPLETE = 0
    FAILED = 1
    TERMINATED = 128 + signal.SIGTERM


TRAIN_MEANING: dict[TrainExit, str] = {
    TrainExit.COMPLETE: "The model is complete.",
    TrainExit.FAILED: "No model was made: the input is not usable, the loss diverged, "
    "or it failed unexpectedly. The reason is in output/failure, which SageMaker shows "
    "as the step's failure reason.",
    TrainExit.TERMINATED: "SIGTERM came: the model of the steps done until then is "
    "kept, if there was one.",
}
