"""`python -m generate [--check]`: write everything generated, or name what is stale."""

import sys
from pathlib import Path

from generate.chart_readme import chart_readme
from generate.conditions_reference import conditions_reference
from generate.conformance import conformance
from generate.dashboards import dashboards
from generate.events_reference import events_reference
from generate.exit_codes_reference import exit_codes_reference
from generate.http_reference import TITLES, http_reference, openapi_of
from generate.log_reference import log_reference
from generate.metrics_reference import metrics_reference
from generate.resources_reference import resources_reference
from generate.settings_reference import settings_reference
from generate.steps_reference import steps_reference
from generate.values_schema import values_schema
from isocenter.operator.crd import files as crd_files

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "isocenter"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def generated() -> dict[Path, str]:
    """Every generated file's text by its path."""
    schema = values_schema(CHART)
    files = {
        CHART / "values.schema.json": schema,
        CHART / "README.md": chart_readme(CHART, schema),
        REFERENCE / "settings.md": settings_reference(),
        REFERENCE / "resources.md": resources_reference(),
        REFERENCE / "exit-codes.md": exit_codes_reference(),
        REFERENCE / "metrics.md": metrics_reference(),
        REFERENCE / "conditions.md": conditions_reference(),
        REFERENCE / "events.md": events_reference(),
        REFERENCE / "logs.md": log_reference(),
        REFERENCE / "http-api.md": http_reference(),
        REFERENCE / "pipeline-steps.md": steps_reference(),
        DOCS / "conformance.md": conformance(),
    }
    for service in TITLES:
        files[REFERENCE / "openapi" / f"{service}.json"] = openapi_of(service)
    for name, text in dashboards().items():
        files[CHART / "dashboards" / name] = text
    for name, text in crd_files().items():
        files[CHART / "templates" / "crd" / name] = text
    return files


def main() -> int:
    """0, or 1 when --check finds a stale file."""
    texts = generated()
    stale = [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text() != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run make generate\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
