"""Exit codes of ``isocenter-fetcher``, and which failure gives which."""

from enum import IntEnum

from isocenter.core.errors import AwsError, ConfigurationError, MalformedError
from isocenter.fetcher.errors import (
    DecoderLostError,
    IncompleteError,
    InterruptedFetchError,
    NothingUsableError,
    UsageError,
)


class ExitCode(IntEnum):
    """What the end of the process means, see ``MEANING``."""

    COMPLETE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOTHING_USABLE = 3
    OMISSIONS = 4
    AWS = 5
    RESOURCES = 6
    INTERRUPTED = 143


MEANING: dict[ExitCode, str] = {
    ExitCode.COMPLETE: "The dataset is complete: its manifest was written last.",
    ExitCode.UNEXPECTED: "A fault of the fetcher itself; the log has the traceback.",
    ExitCode.USAGE: "An argument, a setting or the request is wrong, or the output "
    "directory holds another dataset. Nothing was fetched.",
    ExitCode.NOTHING_USABLE: "Not one array came out of the request.",
    ExitCode.OMISSIONS: "Something asked for is missing and --allow-omissions was not "
    "given. No manifest was written. Instances without frames don't count.",
    ExitCode.AWS: "The request could not be read: no answer, no access, no such key.",
    ExitCode.RESOURCES: "The output directory can't be written or is full, or a "
    "decoding process was killed for want of memory.",
    ExitCode.INTERRUPTED: "SIGTERM or SIGINT ended the fetch; no manifest was written.",
}
"""The table of docs/reference, in the order of the codes."""

_BY_FAILURE: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (NothingUsableError, ExitCode.NOTHING_USABLE),
    (IncompleteError, ExitCode.OMISSIONS),
    (InterruptedFetchError, ExitCode.INTERRUPTED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (ConfigurationError, ExitCode.USAGE),
    (MalformedError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
    (AwsError, ExitCode.AWS),
    (DecoderLostError, ExitCode.RESOURCES),
    (OSError, ExitCode.RESOURCES),
)


def exit_code(failure: BaseException) -> ExitCode:
    """The exit code for a failure that ended the process."""
    for kind, code in _BY_FAILURE:
        if isinstance(failure, kind):
            return code
    return ExitCode.UNEXPECTED
