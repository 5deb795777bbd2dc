"""One table of everything shipped: package, licence, images."""

from collections import defaultdict
from collections.abc import Mapping

from sbom.contents import Package

_HEAD = """# Licences of what the images contain

Made by `make sbom` from the packages' own metadata; the texts are in the images, of
Debian's packages in /usr/share/doc. `not stated`: the package does not say it in a form
that programs can read.

| package | version | licence | images |
| --- | --- | --- | --- |
"""


def table(by_image: Mapping[str, list[Package]]) -> str:
    """Markdown; a package that several images have is one line."""
    images: dict[Package, list[str]] = defaultdict(list)
    for image, packages in by_image.items():
        for package in packages:
            images[package].append(image)
    lines = []
    for package in sorted(images):
        licence = "; ".join(package.licences) or "not stated"
        where = "all" if len(images[package]) == len(by_image) else ""
        where = where or ", ".join(sorted(images[package]))
        cells = (f"{package.kind}: {package.name}", package.version, licence, where)
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"
