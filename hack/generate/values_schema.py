"""values.schema.json: closed, from values.yaml's shape and the settings classes."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from generate.processes import PROCESSES

# Maps whose keys belong to someone else: AWS, Kubernetes.
# OHIF's own options.
OPEN = {"annotations", "env", "limits", "ohif", "requests", "resources"}
ENUMS = {("service", "type"): ["ClusterIP", "NodePort", "LoadBalancer"]}
# Members of lists, which an empty list in values.yaml does not show.
ITEMS: dict[tuple[str, ...], dict[str, Any]] = {
    ("viewer", "config", "stores"): {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "region", "datastore_id"],
        "properties": {
            # `isocenter` names the source that follows the user's choice.
            "name": {
                "type": "string",
                "pattern": "^[a-z0-9-]+$",
                "not": {"const": "isocenter"},
            },
            "friendly_name": {"type": "string"},
            "region": {"type": "string", "pattern": "^[a-z0-9-]+$"},
            "datastore_id": {"type": "string", "pattern": "^[0-9a-z]{32}$"},
        },
    },
    ("viewer", "config", "proxy_urls"): {
        "type": "string",
        "pattern": "^https?://[0-9a-z.-]+(:[0-9]+)?(/[0-9A-Za-z._~-]+)*$",
    },
    ("viewer", "config", "oidc", "origins"): {
        "type": "string",
        "pattern": "^https?://[0-9a-z.-]+(:[0-9]+)?$",
    },
}


def values_schema(chart: Path) -> str:
    """The schema's text for a chart folder."""
    text = (chart / "values.yaml").read_text()
    schema = _object(yaml.safe_load(text), _descriptions(text), ())
    for process in PROCESSES:
        schema["properties"][process.component]["properties"]["config"] = (
            _config_schema(process.settings.model_json_schema(), process.filled)
        )
    # Helm adds `global` to every chart's values.
    schema["properties"]["global"] = {"type": "object"}
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def _config_schema(schema: dict[str, Any], filled: frozenset[str]) -> dict[str, Any]:
    properties = {
        name: _plain(entry, schema.get("$defs", {}))
        for name, entry in schema["properties"].items()
        if name not in filled
    }
    return {
        "type": "object",
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
        **({"description": texts[path]} if path in texts else {}),
        "additionalProperties": False,
        "properties": {
            key: _value(value, texts, (*path, key)) for key, value in values.items()
        },
    }


def _value(
    value: Any, texts: dict[tuple[str, ...], str], path: tuple[str, ...]
) -> dict[str, Any]:
    described = {"description": texts[path]} if path in texts else {}
    if isinstance(value, dict):
        if path[-1] in OPEN:
            return {"type": "object", **described}
        return _object(value, texts, path)
    if isinstance(value, list):
        items = {"items": ITEMS[path]} if path in ITEMS else {}
        return {"type": "array", **described, **items}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    schema: dict[str, Any] = {"type": kinds[type(value)], **described}
    if path[-2:] in ENUMS:
        schema["enum"] = ENUMS[path[-2], path[-1]]
    return schema


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
