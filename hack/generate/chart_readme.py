"""charts/isocenter/README.md: what the chart needs, and every value."""

import json
from pathlib import Path
from typing import Any

import yaml

HEAD = """# charts/isocenter

{description}

Made by `make generate` from Chart.yaml, values.yaml and the settings classes; don't
edit. Chart {version}, Kubernetes {kubernetes}.

## Install

1. An AWS account with the resources of `infra/eks`; its outputs become values
   (`isocenter-values`), in the form of `ci/aws.yaml`. `ci/minimal.yaml` is the least.
2. Images in a registry that the cluster reaches: `images.registry`; each component
   takes a tag or a digest of its own.
3. The key pair of DICOM TLS, as a Secret or from cert-manager:

   ```console
   kubectl create namespace isocenter
   kubectl -n isocenter create secret tls isocenter-dicom-tls \\
     --cert=tls.crt --key=tls.key
   helm install isocenter charts/isocenter -n isocenter --values values.aws.yaml
   ```

   The release and the namespace are both called `isocenter` where roles come from the
   stacks: EKS Pod Identity knows service accounts by name.

Values that do not fit are refused by name before anything is installed. With
`crds.enabled=false`, and the kinds installed by the cluster's owner, the release needs
rights in its own namespace only; `ingress.alb.createClass` needs the cluster's.

To upgrade, give the values again, or `--reset-then-reuse-values`: `--reuse-values`
lacks what a newer chart has by default. `helm uninstall` leaves the spool's volumes
and, with `crds.keep`, the resource kinds and resources.

## Templates

Names are in `templates/_names.tpl`, rules over several values in
`templates/_validation.tpl`. Every component's folder has the same files. Pods are
"restricted" by the Pod Security Standards, and a NetworkPolicy for each component
denies what it does not need.
"""


def chart_readme(chart: Path, schema: str) -> str:
    """The page's text for a chart folder and the text of its values' schema."""
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    head = HEAD.format(
        description=described["description"],
        version=described["version"],
        kubernetes=described["kubeVersion"].removesuffix("-0"),
    )
    properties = json.loads(schema)["properties"]
    sections = [_section(name, values[name], properties[name]) for name in values]
    return head + "\n## Values\n" + "".join(sections)


def _section(name: str, value: Any, schema: dict[str, Any]) -> str:
    lines = [
        f"\n### {name}\n",
        f"{_cell(schema['description'])}\n",
        "| value | default | what it is |",
        "|---|---|---|",
        *_rows(name, value, schema),
    ]
    return "\n".join(lines) + "\n"


def _rows(path: str, value: Any, schema: dict[str, Any]) -> list[str]:
    members = schema.get("properties")
    # Settings have a page of their own; the chart gives them no defaults.
    if not members or not isinstance(value, dict) or not value:
        return [f"| `{path}` | `{_default(value)}` | {_cell(schema['description'])} |"]
    return [
        row
        for key, entry in value.items()
        for row in _rows(f"{path}.{key}", entry, members[key])
    ]


def _default(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
