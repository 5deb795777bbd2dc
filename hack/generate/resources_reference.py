"""docs/reference/resources.md: every field of every resource."""

from typing import Any

import yaml

from isocenter.operator.crd import MODELS, definition

HEAD = """# Resources

Made by `make generate` from `isocenter.operator.resources`; don't edit. All are
namespaced, of group `isocenter.dev/v1alpha1` and category `isocenter`:
`kubectl get isocenter` lists all of them. `spec` is what you write, `status` what the
operator last saw. Examples are in `docs/examples`.
"""


def resources_reference() -> str:
    """The page's text."""
    return HEAD + "".join(_section(definition(model)) for model in MODELS)


def _section(document: dict[str, Any]) -> str:
    names = document["spec"]["names"]
    (version,) = document["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    lines = [
        f"\n## {names['kind']}\n",
        f"Short name `{names['shortNames'][0]}`. {schema.get('description', '')}\n",
        "| field | type | what it is |",
        "|---|---|---|",
    ]
    for part in ("spec", "status"):
        lines += _rows(part, schema["properties"][part])
    return "\n".join(lines) + "\n"


def _rows(path: str, schema: dict[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    rows = []
    for name, entry in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        text = entry.get("description", "").replace("|", "\\|").replace("\n", " ")
        must = " Required." if name in required and path.startswith("spec") else ""
        default = (
            f" Default `{_flow(entry['default'])}`." if entry.get("default") else ""
        )
        rows.append(f"| `{here}` | {_type(entry)} | {text}{must}{default} |")
        rows += _rows(here, entry)
        rows += _rows(f"{here}[]", entry.get("items", {}))
    return rows


def _type(entry: dict[str, Any]) -> str:
    if entry.get("type") == "array":
        return f"list of {_type(entry['items'])}"
    if "additionalProperties" in entry:
        return f"map of {_type(entry['additionalProperties'])}"
    return str(entry.get("format") or entry.get("type", "any"))


def _flow(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True)).strip().split("\n")[0]
