"""charts/isocenter/dashboards/*.json: Grafana's dashboards, one for each part.

What is drawn stands in ``PARTS`` of ``dashboard_panels``; here is how Grafana wants it
written (dashboard JSON model, schema version 39).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from generate.dashboard_panels import PARTS, Panel, Part

_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboards() -> dict[str, str]:
    """Text of each dashboard by its file's name."""
    return {
        f"{part.name}.json": json.dumps(_dashboard(part), indent=2) + "\n"
        for part in PARTS
    }


def _dashboard(part: Part) -> dict[str, Any]:
    return {
        "uid": f"isocenter-{part.name}",
        "title": f"isocenter: {part.title}",
        "description": part.about,
        "tags": ["isocenter"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_panels(part.panels)),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }
    yield {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(isocenter_storescp_tasks_waiting, namespace)",
        "refresh": 2,
        "includeAll": False,
    }


def _panels(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        yield {
            "id": number + 1,
            "type": "timeseries",
            "title": panel.title,
            "description": panel.about,
            "datasource": _SOURCE,
            "gridPos": {
                "x": column * _WIDTH,
                "y": row * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            },
            "fieldConfig": {
                "defaults": {"unit": panel.unit, "min": 0},
                "overrides": [],
            },
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": _SOURCE,
                    "expr": expression.replace("NS", 'namespace="$namespace"'),
                    "legendFormat": legend,
                }
                for place, (legend, expression) in enumerate(panel.series)
            ],
        }
