"""The fetcher's own failures: a dataset that must not be used.

::

    IsocenterError
    ├── UsageError           the request contradicts itself or the directory: final
    ├── IncompleteError      something asked for is missing, and that was not allowed
    │   └── NothingUsableError   not one array came out of the request
    ├── DecoderLostError     a decoding process was killed, for memory most likely
    └── InterruptedFetchError    the fetch was told to stop
"""

from collections import Counter
from collections.abc import Sequence

from isocenter.core.dataset import Omission
from isocenter.core.errors import IsocenterError

__all__ = [
    "DecoderLostError",
    "IncompleteError",
    "InterruptedFetchError",
    "NothingUsableError",
    "UsageError",
]


class UsageError(IsocenterError):
    """What was asked for contradicts itself, or the directory holds another dataset."""


class IncompleteError(IsocenterError):
    """Something asked for is missing.

    Attributes:
        omissions: everything that is missing, by name and reason.
    """

    def __init__(self, message: str, omissions: Sequence[Omission]) -> None:
        super().__init__(message)
        self.omissions = tuple(omissions)


class NothingUsableError(IncompleteError):
    """Not one array came out of the request."""


class DecoderLostError(IsocenterError):
    """A decoding process was killed; this process can decode nothing more."""


class InterruptedFetchError(IsocenterError):
    """The fetch was told to stop; what it wrote has no manifest."""

    retryable = True


_EXAMPLES = 5


def summary(omissions: Sequence[Omission]) -> str:
    """Omissions in words: how many of each reason, and the first few by name."""
    counts = Counter(item.reason.value for item in omissions)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    first = "; ".join(
        f"image set {item.image_set_id}: {item.message}"
        for item in omissions[:_EXAMPLES]
    )
    rest = len(omissions) - _EXAMPLES
    return f"{reasons} ({first}{f'; and {rest} more' if rest > 0 else ''})"
