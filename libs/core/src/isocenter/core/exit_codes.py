"""Exit codes of the processes that serve until stopped, and of `helm test`'s tests.

The fetcher and the pipeline's programs, which end by themselves, have tables of their
own.
"""

from enum import IntEnum


class ServiceExit(IntEnum):
    """What the end of a serving process means, see ``MEANING``."""

    STOPPED = 0
    FAILED = 1
    CONFIGURATION = 2


MEANING: dict[ServiceExit, str] = {
    ServiceExit.STOPPED: "SIGTERM or SIGINT came; what ran was brought to its end.",
    ServiceExit.FAILED: "It could not begin to serve (the operator: the API server "
    "does not answer), or failed unexpectedly; the last log lines say why. Started "
    "again, it takes up its work.",
    ServiceExit.CONFIGURATION: "A setting is missing or wrong, or what it names can't "
    "be used; the last line says which. Starting again does not help.",
}
"""The table of docs/reference."""


class SelfTestExit(IntEnum):
    """What the end of a self-test means, see ``SELF_TEST_MEANING``."""

    PASSED = 0
    FAILED = 1
    CONFIGURATION = 2


SELF_TEST_MEANING: dict[SelfTestExit, str] = {
    SelfTestExit.PASSED: "All of it happened.",
    SelfTestExit.FAILED: "Something did not happen, or not in time; the last line says "
    "what, and what to look at.",
    SelfTestExit.CONFIGURATION: "A certificate, file or argument given to it can't "
    "be used; the last line says which.",
}
"""The table of docs/reference."""
