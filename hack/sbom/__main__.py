"""`python -m sbom`: a bill of materials for each image that hack/images.sh made."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from demo.place import ROOT, images
from demo.shell import DemoError, run

from sbom.bom import Image, InvalidDocumentError, document
from sbom.contents import ContentsError, Package, packages
from sbom.licence_table import table


def main() -> int:
    """Writes ``<image>.cdx.json`` for each, and ``licences.md``."""
    parser = argparse.ArgumentParser(prog="python -m sbom")
    parser.add_argument("names", nargs="*", help="images; all of them if none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom")
    asked = parser.parse_args()
    found: dict[str, list[Package]] = {}
    try:
        built = _built(asked.names)
        asked.out.mkdir(parents=True, exist_ok=True)
        for name in built:
            image = _image(name, built[name])
            with _exported(image.reference) as archive:
                found[name] = packages(archive)
            path = asked.out / f"{name}.cdx.json"
            path.write_text(document(image, found[name]))
            print(f"{path}: {len(found[name])} packages")
    except (DemoError, ContentsError, InvalidDocumentError) as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    (asked.out / "licences.md").write_text(table(found))
    print(asked.out / "licences.md")
    return 0


def _built(names: list[str]) -> dict[str, str]:
    built = images()
    unknown = set(names) - set(built)
    if unknown:
        raise DemoError(f"not built: {', '.join(sorted(unknown))}: run `make images`")
    return {name: built[name] for name in names or sorted(built)}


def _image(name: str, reference: str) -> Image:
    described = json.loads(run("docker", "image", "inspect", reference))[0]
    repository = reference.rsplit(":", 1)[0]
    digests = [
        one.split("@", 1)[1]
        for one in described["RepoDigests"]
        if one.startswith(f"{repository}@")
    ]
    if not digests:
        raise DemoError(f"{reference} was never pushed: run `make images`")
    created = datetime.fromisoformat(described["Created"][:19] + "+00:00")
    return Image(name, reference, digests[0], created)


@contextmanager
def _exported(reference: str) -> Iterator[IO[bytes]]:
    """The image's file system as a tar stream, by a container that is never started."""
    container = run("docker", "create", reference).strip()
    try:
        with subprocess.Popen(
            ["docker", "export", container], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            yield process.stdout
    finally:
        run("docker", "rm", container)


if __name__ == "__main__":
    sys.exit(main())
