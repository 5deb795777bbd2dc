"""docs/reference/exit-codes.md: what the fetcher's exit codes mean."""

from isocenter.fetcher.exit_codes import MEANING

HEAD = """# Exit codes of the fetcher

Made by `make generate` from `isocenter.fetcher.exit_codes`; don't edit. The reason
in words is the last thing on stderr, and in SageMaker the step's failure reason.

| code | meaning |
|---|---|
"""


def exit_codes_reference() -> str:
    """The page's text."""
    return HEAD + "".join(
        f"| {int(code)} | {meaning} |\n" for code, meaning in MEANING.items()
    )
