"""`python -m generate [--check]`: write everything generated, or name what is stale."""

import sys
from pathlib import Path

from generate.exit_codes_reference import exit_codes_reference
from generate.resources_reference import resources_reference
from generate.settings_reference import settings_reference
from generate.values_schema import values_schema
from isocenter.operator.crd import files as crd_files

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "isocenter"
REFERENCE = ROOT / "docs" / "reference"


def generated() -> dict[Path, str]:
    """Every generated file's text by its path."""
    files = {
        CHART / "values.schema.json": values_schema(CHART),
        REFERENCE / "settings.md": settings_reference(),
        REFERENCE / "resources.md": resources_reference(),
        REFERENCE / "exit-codes.md": exit_codes_reference(),
    }
    for name, text in crd_files().items():
        files[CHART / "templates" / "crd" / name] = text
    return files


def main() -> int:
    """0, or 1 when --check finds a stale file."""
    stale = [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text() != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run make generate\n")
        return 1 if stale else 0
    texts = generated()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
