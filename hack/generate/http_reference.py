"""docs/reference/http-api.md and the OpenAPI documents beside it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

HEAD = """# HTTP APIs

Made by `make generate` from the services' OpenAPI documents; don't edit. The documents
themselves: [tlm-proxy](openapi/tlm-proxy.json), [fetcher](openapi/fetcher.json); the
tile proxy answers its own at `/openapi.json` too. Beside the resources below every
process answers `/healthz`, `/readyz` and `/metrics` on its health port.
"""
TITLES = {
    "tlm-proxy": (
        "Reads of HealthImaging's data stores. A token of the configured issuer is "
        "needed (`Authorization: Bearer`), unless `auth_mode` is `none`. Failures are "
        "problem documents (RFC 9457)."
    ),
    "fetcher": (
        "Datasets made in the cluster. There is no login: network policies say who may "
        "ask. Failures are `{error, message}`."
    ),
}
_METHODS = ("get", "head", "post", "put", "patch", "delete")


@cache
def openapi_of(service: str) -> str:
    """A service's OpenAPI document."""
    return subprocess.run(
        [sys.executable, "-m", "generate.openapi_of_service", service],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        # Nothing of this machine's; the region is never called.
        env={"AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": "/nonexistent"},
    ).stdout


def http_reference() -> str:
    """The page's text."""
    return HEAD + "".join(map(_section, TITLES))


def _section(service: str) -> str:
    document = json.loads(openapi_of(service))
    parts = [f"\n## {service}\n\n{TITLES[service]}\n"]
    for path, item in document["paths"].items():
        told: dict[str, list[str]] = {}
        for method in filter(item.__contains__, _METHODS):
            text = _operation(document, item[method])
            told.setdefault(text, []).append(method.upper())
        # HEAD is described like GET: once is enough.
        parts += [
            f"\n### {', '.join(ms)} {path}\n\n{text}" for text, ms in told.items()
        ]
    return "".join(parts)


def _operation(document: dict[str, Any], operation: dict[str, Any]) -> str:
    lines = []
    if about := operation.get("description") or operation.get("summary"):
        lines.append(f"{about.strip()}\n")
    named = [
        (p["name"], p["in"], _schema(document, p.get("schema", {})), _about(p))
        for p in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    for media_type, content in body.items():
        schema = _resolved(document, content.get("schema", {}))
        required = set(schema.get("required", ()))
        for name, entry in schema.get("properties", {}).items():
            must = "" if name in required else " Optional."
            text = f"{_about(entry)}{must}".strip()
            named.append((name, media_type, _schema(document, entry), text))
    if named:
        lines += ["| parameter | in | type | what it is |", "|---|---|---|---|"]
        lines += [f"| `{n}` | {w} | {t} | {a} |" for n, w, t, a in named]
        lines.append("")
    lines += ["| status | meaning |", "|---|---|"]
    lines += [
        f"| {status} | {answer['description']} |"
        for status, answer in sorted(operation["responses"].items())
    ]
    return "\n".join(lines) + "\n"


def _about(entry: dict[str, Any]) -> str:
    return str(entry.get("description", "")).replace("\n", " ").replace("|", "\\|")


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        found: dict[str, Any] = document["components"]["schemas"][name]
        return found
    return schema


def _schema(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if "anyOf" in schema:
        kinds = [_schema(document, each) for each in schema["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if "$ref" in schema:
        return _schema(document, _resolved(document, schema))
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return f"list of {_schema(document, items)}" if items else "list"
    if schema.get("type") == "object" and "properties" in schema:
        return "{" + ", ".join(schema["properties"]) + "}"
    kind = str(schema.get("type", "any"))
    if "pattern" in schema and len(schema["pattern"]) < 40:  # noqa: PLR2004 - what fits a table
        return f"{kind} `{schema['pattern']}`".replace("|", "\\|")
    return kind
