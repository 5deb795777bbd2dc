"""Writes the schemas of Kubernetes' kinds that the charts use, strict, for kubeconform.

    python tests/chart/schemas/write.py …/kubernetes@v…/api/openapi-spec/swagger.json

The input is a file of Kubernetes' own Go module (Apache-2.0). Other projects' kinds
(cert-manager, Prometheus operator, KEDA, AWS) are written by hand beside it, with what
the charts use of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "ConfigMap": "io.k8s.api.core.v1",
    "PersistentVolumeClaim": "io.k8s.api.core.v1",
    "Pod": "io.k8s.api.core.v1",
    "Secret": "io.k8s.api.core.v1",
    "Service": "io.k8s.api.core.v1",
    "ServiceAccount": "io.k8s.api.core.v1",
    "Deployment": "io.k8s.api.apps.v1",
    "StatefulSet": "io.k8s.api.apps.v1",
    "Job": "io.k8s.api.batch.v1",
    "HorizontalPodAutoscaler": "io.k8s.api.autoscaling.v2",
    "PodDisruptionBudget": "io.k8s.api.policy.v1",
    "Ingress": "io.k8s.api.networking.v1",
    "IngressClass": "io.k8s.api.networking.v1",
    "NetworkPolicy": "io.k8s.api.networking.v1",
    "Role": "io.k8s.api.rbac.v1",
    "RoleBinding": "io.k8s.api.rbac.v1",
    "CustomResourceDefinition": (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
    ),
}
PREFIX = "#/definitions/"
# Written by the API's own marshalling, so unlike what their definitions say.
FREE = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps": {
        "type": "object"
    },
}


def strict(entry: Any, named: set[str]) -> Any:
    """The entry without prose, closed; names of what it refers to are collected."""
    if isinstance(entry, list):
        return [strict(each, named) for each in entry]
    if not isinstance(entry, dict):
        return entry
    if "$ref" in entry:
        name = entry["$ref"].removeprefix(PREFIX)
        named.add(name)
        return {"$ref": entry["$ref"]}
    found = {
        key: value
        if key in {"enum", "required"}
        else {k: strict(v, named) for k, v in value.items()}
        if key == "properties"
        else strict(value, named)
        for key, value in entry.items()
        if key in {"type", "items", "additionalProperties", "properties"}
        or key in {"required", "enum"}
    }
    if "properties" in found:
        found["additionalProperties"] = False
    return found


def schema(name: str, kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one kind with all that it needs."""
    wanted: set[str] = set()
    top = strict(definitions[name], wanted)
    (group,) = definitions[name]["x-kubernetes-group-version-kind"]
    version = "/".join(filter(None, (group["group"], group["version"])))
    top["properties"]["apiVersion"] = {"const": version}
    top["properties"]["kind"] = {"const": kind}
    top["required"] = sorted({*top.get("required", ()), "apiVersion", "kind"})
    done: dict[str, Any] = {}
    while missing := sorted(wanted - done.keys()):
        for each in missing:
            done[each] = FREE.get(each) or strict(definitions[each], wanted)
    return {**top, "definitions": done}


def main() -> None:
    """Write all of them beside this file."""
    definitions = json.loads(Path(sys.argv[1]).read_text())["definitions"]
    for kind, package in KINDS.items():
        name = f"{package}.{kind}"
        (of,) = definitions[name]["x-kubernetes-group-version-kind"]
        group = of["group"] or "core"
        path = Path(__file__).parent / f"{kind.lower()}-{group}-{of['version']}.json"
        text = json.dumps(schema(name, kind, definitions), sort_keys=True, indent=1)
        path.write_text(text + "\n")


if __name__ == "__main__":
    main()
