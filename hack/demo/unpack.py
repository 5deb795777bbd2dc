"""Archives of ours, unpacked."""

import tarfile
from collections.abc import Iterable
from pathlib import Path


def unpack(
    archive: tarfile.TarFile,
    folder: Path,
    members: Iterable[tarfile.TarInfo] | None = None,
) -> None:
    """Unpack an archive, or some of it, as data: nothing outside ``folder``.

    Pythons before 3.11.4 have no filters, and no argument for one; what is unpacked by
    this is our own.
    """
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(folder, members)  # noqa: S202 - as said
