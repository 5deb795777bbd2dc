"""Which of a test's numbers are run, and how far it is."""

import os


def chosen(variable, first, count):
    """All numbers; ``variable=7`` chooses one, ``variable=7-`` where to go on."""
    asked = os.environ.get(variable, "")
    if asked and not asked.endswith("-"):
        return range(int(asked), int(asked) + 1)
    return range(int(asked.removesuffix("-") or first), first + count)


def tell(text):
    """Shown by ``pytest -s``, as ``make soak`` runs it, and with a failure."""
    print(f"\n{text}")  # noqa: T201 - see above
