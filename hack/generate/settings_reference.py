"""docs/reference/settings.md: every setting of every process."""

import json
from typing import Any

from pydantic_core import PydanticUndefined

from generate.processes import PROCESSES, Process

HEAD = """# Settings

Made by `make generate` from the settings classes; don't edit.

Each process reads its settings once, at start, from environment variables; a wrong
one stops the start and is named. Lists and maps are written as JSON. In the chart a
setting is a key of `<component>.config`, spelled as in the first column; those marked
*chart* are filled in by the chart itself. Region, credentials and endpoints are AWS's
own variables (`AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL`, …).
"""


def settings_reference() -> str:
    """The page's text."""
    return HEAD + "".join(_section(process) for process in PROCESSES)


def _section(process: Process) -> str:
    lines = [
        f"\n## {process.title}\n",
        f"Variables start with `{process.prefix}`; chart key `{process.component}`.\n",
        "| setting | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in sorted(process.settings.model_fields.items()):
        mark = " *chart*" if name in process.filled else ""
        text = (field.description or "").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| `{name}`{mark} | {_default(field)} | {text} |")
    return "\n".join(lines) + "\n"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined:
        return "see text"
    if value is None:
        return "none"
    if hasattr(value, "get_secret_value"):
        return "see text"
    try:
        return f"`{json.dumps(value)}`"
    except TypeError:
        return f"`{value}`"
