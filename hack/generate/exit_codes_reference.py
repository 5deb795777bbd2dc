"""docs/reference/exit-codes.md: what the processes' exit codes mean."""

from collections.abc import Mapping
from typing import Any

from isocenter.core import exit_codes as service
from isocenter.fetcher.exit_codes import MEANING as FETCHER
from isocenter.pipeline.exit_codes import COMMAND_MEANING, TRAIN_MEANING

HEAD = """# Exit codes

Made by `make generate` from the `exit_codes` modules; don't edit. The reason in words
is the last thing on stderr. Kubernetes shows the code of a container that ended in
`kubectl describe pod` (Last State); 137 there means that it was killed: for want of
memory (OOMKilled), or because it did not end in its grace period.
"""
TABLES: tuple[tuple[str, str, Mapping[Any, str]], ...] = (
    (
        "storescp, tlm-proxy, operator, intake",
        "Programs `isocenter-<name>`, which serve until they are stopped.",
        service.MEANING,
    ),
    (
        "self-test",
        "The two containers of `helm test`: one sends, one waits for what follows.",
        service.SELF_TEST_MEANING,
    ),
    (
        "fetcher",
        "`isocenter-fetcher`. SageMaker shows the reason as the step's failure reason.",
        FETCHER,
    ),
    ("pipeline", "`isocenter-pipeline definition` and `upsert`.", COMMAND_MEANING),
    ("training step", "`isocenter-train`.", TRAIN_MEANING),
)


def exit_codes_reference() -> str:
    """The page's text."""
    return HEAD + "".join(
        f"\n## {title}\n\n{about}\n\n| code | meaning |\n|---|---|\n"
        + "".join(f"| {int(code)} | {text} |\n" for code, text in meaning.items())
        for title, about, meaning in TABLES
    )
