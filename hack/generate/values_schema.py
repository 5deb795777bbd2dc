"""values.schema.json: closed, from values.yaml's shape and the settings classes."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from generate.processes import PROCESSES
from generate.value_rules import OPEN, RULES, SHARED

# An end of one word counts for a component's own members only, as storescp.replicas.
_MEMBER = 2


def values_schema(chart: Path) -> str:
    """The schema's text for a chart folder."""
    text = (chart / "values.yaml").read_text()
    schema = _object(yaml.safe_load(text), _descriptions(text), ())
    for process in PROCESSES:
        schema["properties"][process.component]["properties"]["config"] = (
            _config_schema(
                process.settings.model_json_schema(), process.filled, process.renamed
            )
        )
    # Helm adds `global` to every chart's values.
    schema["properties"]["global"] = {
        "type": "object",
        "description": "Helm's own; not used.",
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def _config_schema(
    schema: dict[str, Any], filled: frozenset[str], renamed: Mapping[str, str]
) -> dict[str, Any]:
    properties = {
        name: _plain(entry, schema.get("$defs", {}))
        for name, entry in schema["properties"].items()
        if name not in filled
    }
    for earlier, today in renamed.items():
        description = f"Earlier name of {today}."
        properties[earlier] = {**properties[today], "description": description}
    return {
        "type": "object",
        "description": SHARED["config"],
        "additionalProperties": False,
        "properties": dict(sorted(properties.items())),
    }


def _plain(entry: Any, definitions: dict[str, Any]) -> Any:
    """Inline references, drop titles and formats that draft 7 has no word for."""
    if isinstance(entry, list):
        return [_plain(item, definitions) for item in entry]
    if not isinstance(entry, dict):
        return entry
    if "$ref" in entry:
        named = definitions[entry["$ref"].rsplit("/", 1)[1]]
        rest = {k: v for k, v in entry.items() if k != "$ref"}
        return _plain({**named, **rest}, definitions)
    if "prefixItems" in entry:
        entry = {**entry, "items": entry["prefixItems"]}
        del entry["prefixItems"]
    return {
        key: _plain(value, definitions)
        for key, value in entry.items()
        if key not in {"title", "format", "writeOnly", "env_names"}
    }


def _object(
    values: dict[str, Any], texts: dict[tuple[str, ...], str], path: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "type": "object",
        **_described(texts, path),
        "additionalProperties": False,
        "properties": {
            key: _value(value, texts, (*path, key)) for key, value in values.items()
        },
    }


def _value(
    value: Any, texts: dict[tuple[str, ...], str], path: tuple[str, ...]
) -> dict[str, Any]:
    described = {**_described(texts, path), **_of(RULES, path, {})}
    if isinstance(value, dict):
        if path[-1] in OPEN:
            return {"type": "object", **described}
        return _object(value, texts, path)
    if isinstance(value, list):
        return {"type": "array", **described}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": kinds[type(value)], **described}


def _described(
    texts: dict[tuple[str, ...], str], path: tuple[str, ...]
) -> dict[str, str]:
    text = texts.get(path) or _of(SHARED, path, "")
    return {"description": text} if text else {}


def _of(table: dict[str, Any], path: tuple[str, ...], otherwise: Any) -> Any:
    """The entry for the longest end of a path that has one."""
    for start in range(len(path)):
        end = path[start:]
        if ".".join(end) in table and (len(end) > 1 or len(path) == _MEMBER):
            return table[".".join(end)]
    return otherwise


def _descriptions(text: str) -> dict[tuple[str, ...], str]:
    """The `# --` comment above each key, by the key's path."""
    found: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    pending = ""
    for line in text.splitlines():
        comment = re.match(r"\s*# -- (.*)", line)
        key = re.match(r"( *)([A-Za-z0-9_]+):", line)
        if comment:
            pending = comment.group(1)
        elif key:
            path[len(key.group(1)) // 2 :] = [key.group(2)]
            if pending:
                found[tuple(path)] = pending
            pending = ""
    return found
