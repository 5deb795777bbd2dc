"""The custom resource definitions, generated from the models.

``python -m isocenter.operator.crd charts/isocenter/templates/crd`` rewrites the
chart's files; a test compares them. They are templates rather than files of
Helm's ``crds/`` folder because Helm never upgrades those.

A structural schema (Kubernetes documentation, "Specifying a structural schema")
is a part of JSON Schema: references are inlined, ``X | null`` becomes X, and
titles, ``const`` and ``additionalProperties: false`` are rewritten away.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from isocenter.operator.resources import (
    GROUP,
    PLURALS,
    VERSION,
    DICOMImportJob,
    Resource,
    TrainingRun,
    TrainingTrigger,
)

SHORT_NAMES = {"TrainingRun": "tr", "TrainingTrigger": "tt", "DICOMImportJob": "dij"}
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
COLUMNS: dict[str, list[dict[str, Any]]] = {
    "TrainingRun": [
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Progress", "type": "string", "jsonPath": ".status.progress"},
        {"name": "Pipeline", "type": "string", "jsonPath": ".spec.pipeline.name"},
        _AGE,
        {
            "name": "Execution",
            "type": "string",
            "jsonPath": ".status.executionArn",
            "priority": 1,
        },
        {
            "name": "Message",
            "type": "string",
            "jsonPath": ".status.message",
            "priority": 1,
        },
    ],
    "TrainingTrigger": [
        {"name": "Datastore", "type": "string", "jsonPath": ".spec.datastoreId"},
        {
            "name": "Pipeline",
            "type": "string",
            "jsonPath": ".spec.template.pipeline.name",
        },
        {"name": "Suspended", "type": "boolean", "jsonPath": ".spec.suspend"},
        {"name": "Events", "type": "integer", "jsonPath": ".status.eventsSeen"},
        {"name": "Runs", "type": "integer", "jsonPath": ".status.runsCreated"},
        _AGE,
    ],
    "DICOMImportJob": [
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Scanned", "type": "integer", "jsonPath": ".status.scanned"},
        {"name": "Imported", "type": "integer", "jsonPath": ".status.imported"},
        {"name": "Failed", "type": "integer", "jsonPath": ".status.failed"},
        _AGE,
        {"name": "Job", "type": "string", "jsonPath": ".status.jobId", "priority": 1},
        {
            "name": "Message",
            "type": "string",
            "jsonPath": ".status.message",
            "priority": 1,
        },
    ],
}
_DROPPED = frozenset({"title", "$defs"})
_VERBATIM = frozenset({"default", "enum", "required", "x-kubernetes-validations"})
SPEC_RULES: dict[str, list[dict[str, str]]] = {
    "DICOMImportJob": [
        {
            "rule": "self == oldSelf",
            "message": "is immutable: create another DICOMImportJob",
        }
    ],
}


def structural(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """``schema`` of Pydantic as a structural schema of Kubernetes."""
    if isinstance(schema, list):
        return [structural(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = _resolved(schema, definitions)
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED or (key == "default" and value is None):
            continue
        if key == "const":
            out["enum"] = [value]
        elif key == "properties":
            out[key] = {n: structural(v, definitions) for n, v in value.items()}
        elif key in _VERBATIM:
            out[key] = value
        elif not (key == "additionalProperties" and isinstance(value, bool)):
            out[key] = structural(value, definitions)
    return out


def _resolved(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with its reference or its one alternative to null put in."""
    while True:
        if "$ref" in schema:
            inner = definitions[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            (inner,) = [s for s in schema["anyOf"] if s != {"type": "null"}]
        else:
            return schema
        beside = {k: v for k, v in schema.items() if k not in {"$ref", "anyOf"}}
        schema = {**inner, **beside}


def without_defaults(schema: Any) -> Any:
    """``schema`` without defaults: a status holds only what was observed."""
    if isinstance(schema, list):
        return [without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: (
            {name: without_defaults(member) for name, member in value.items()}
            if key == "properties"
            else without_defaults(value)
        )
        for key, value in schema.items()
        if key != "default"
    }


def open_api_schema(model: type[Resource]) -> dict[str, Any]:
    """``openAPIV3Schema`` of one kind."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    whole = structural(document, document.get("$defs", {}))
    spec, status = whole["properties"]["spec"], whole["properties"]["status"]
    status.pop("default", None)
    if rules := SPEC_RULES.get(model.__name__):
        spec["x-kubernetes-validations"] = rules
    return {
        "type": "object",
        "description": (model.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": without_defaults(status),
        },
    }


def definition(model: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURALS[kind]}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": PLURALS[kind],
                "singular": kind.lower(),
                "shortNames": [SHORT_NAMES[kind]],
                "categories": ["isocenter"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": COLUMNS[kind],
                    "schema": {"openAPIV3Schema": open_api_schema(model)},
                }
            ],
        },
    }


MODELS: tuple[type[Resource], ...] = (TrainingRun, TrainingTrigger, DICOMImportJob)


def chart_template(model: type[Resource]) -> str:
    """The chart's file for one kind."""
    document = definition(model)
    return "\n".join(
        (
            "{{- if .Values.crds.enabled }}",
            "# Generated from isocenter.operator.resources by `make generate`.",
            f"apiVersion: {document['apiVersion']}",
            f"kind: {document['kind']}",
            "metadata:",
            f"  name: {document['metadata']['name']}",
            "  {{- if .Values.crds.keep }}",
            "  annotations:",
            "    helm.sh/resource-policy: keep",
            "  {{- end }}",
            _yaml({"spec": document["spec"]}).rstrip(),
            "{{- end }}",
            "",
        )
    )


class _Plain(yaml.SafeDumper):
    """Writes no anchors: they would read as noise in a chart."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's
        return True


def _yaml(document: Any) -> str:
    return str(yaml.dump(document, Dumper=_Plain, sort_keys=False, width=88))


def files() -> dict[str, str]:
    """File name -> content, for every kind."""
    return {
        f"{PLURALS[model.__name__]}.yaml": chart_template(model) for model in MODELS
    }


def main() -> None:
    """Write the files into the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
