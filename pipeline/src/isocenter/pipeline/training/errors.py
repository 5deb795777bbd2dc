"""The training step's own failures; all of them end the process with exit code 1.

::

    IsocenterError
    ├── DatasetUnusableError   whole and intact, but nothing in it can be learnt from
    ├── DivergedError          the loss went far above that of doing nothing
    └── StoppedError           SIGTERM came before there was a model to keep
"""

from isocenter.core.errors import IsocenterError


class DatasetUnusableError(IsocenterError):
    """The dataset is whole, but nothing in it can be learnt from."""


class DivergedError(IsocenterError):
    """The loss went far above that of a network that does nothing."""


class StoppedError(IsocenterError):
    """SIGTERM came before there was a model to keep."""
