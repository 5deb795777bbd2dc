"""docs/reference/conditions.md: conditions of the resources, and their reasons."""

from isocenter.operator.intake.reducer import SKIP_MEANINGS
from isocenter.operator.reasons import ABOUT, MEANINGS, ConditionRef

HEAD = """# Conditions

Made by `make generate` from `isocenter.operator.reasons`; don't edit.

A resource's `status.conditions` say how far it is (Kubernetes API conventions):
`status` is True, False or Unknown, `reason` one of the words below, `message` the same
in a sentence with names and numbers. `kubectl wait --for=condition=<type>` waits for
True. What to do about a reason is in [troubleshooting](../troubleshooting.md).
"""
SKIPPED = """
## Image sets that made no run

`status.skipped` of a TrainingTrigger and the metric `isocenter_intake_skipped_total`
count them by reason.

| reason | what it means |
|---|---|
"""


def conditions_reference() -> str:
    """The page's text."""
    skipped = "".join(
        f"| `{skip.value}` | {text} |\n" for skip, text in SKIP_MEANINGS.items()
    )
    return HEAD + "".join(map(_section, MEANINGS)) + SKIPPED + skipped


def _section(condition: ConditionRef) -> str:
    lines = [
        f"\n## {condition.kind}: {condition.type}\n",
        f"{ABOUT[condition]}\n",
        "| reason | what it means |",
        "|---|---|",
    ]
    lines += [
        f"| `{reason}` | {text} |" for reason, text in MEANINGS[condition].items()
    ]
    return "\n".join(lines) + "\n"
